"""Files that appear whole or not at all."""

import json
import os
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name of this process, then give it its own; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    part.write_bytes(content.encode('utf-8') if isinstance(content, str) else content)
    part.replace(path)


def read_json(path: Path) -> dict:
    """A JSON file's content.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; expected the results.json of a study')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not JSON ({error}); expected the results.json of a study') from None
