"""Files that appear whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A path beside ``path``, of this process alone, that takes its place when the block ends well.

    Makes the folder; leaves nothing behind when the block fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8."""
    with draft(path) as part:
        part.write_bytes(content.encode('utf-8') if isinstance(content, str) else content)


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
