"""Atomic writes and checked reads."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to ``path`` when the block ends without an error.

    The folder is created. If the block fails, ``path`` stays as it was and the temporary file is removed. The
    temporary name is hidden and ends in ``.part``: libraries that choose a format by the suffix need it as argument.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part')
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(path: Path, content: str | bytes) -> None:
    """Write a file atomically, text as UTF-8."""
    with draft(path) as part:
        part.write_bytes(content.encode('utf-8') if isinstance(content, str) else content)


def read_json(path: Path, expected: str = 'the results.json of a study') -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        expected: what the file should be, for the error message.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or is not JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; expected {expected}')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not JSON ({error}); expected {expected}') from None
