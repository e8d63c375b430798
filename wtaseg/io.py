"""Atomic writes and checked reads."""

import json
import os
import re
import socket
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from mmseg.file_errors import named

PART = '.part'
#: Names of temporary files, ``.<name>.<process>-<4 hexadecimal digits of the host><4 random ones>.part``.
DRAFT = re.compile(rf'\..+\.(\d+)-([0-9a-f]{{4}})[0-9a-f]{{4}}{re.escape(PART)}')


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to ``path`` when the block ends without an error.

    The folder is created. If the block fails, ``path`` stays as it was and the temporary file is removed. The
    temporary name is hidden and ends in ``.part``: libraries that choose a format by the suffix need it as argument.

    Raises:
        OSError: the file can not be written, for example because the disk is full; names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}-{_host()}{uuid.uuid4().hex[:4]}{PART}')
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise named(error, path, part) from error
    finally:
        part.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove the temporary files that killed runs left in ``folder`` and below; only for the run that owns it."""
    for path in folder.rglob(f'.*{PART}') if folder.is_dir() else ():
        if DRAFT.fullmatch(path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


def remove_abandoned_drafts(folder: Path) -> None:
    """Remove the temporary files directly in ``folder`` whose process, one of this machine, has ended.

    For folders that several processes write to, where none owns the others' files.
    """
    for path in folder.glob(f'.*{PART}') if folder.is_dir() else ():
        match = DRAFT.fullmatch(path.name)
        if match and match[2] == _host() and not _is_running(int(match[1])):
            path.unlink(missing_ok=True)


def _host() -> str:
    return f'{zlib.crc32(socket.gethostname().encode()) & 0xFFFF:04x}'


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


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
        what = 'is not a file' if path.exists() else 'does not exist'
        raise FileNotFoundError(f'{path} {what}; expected {expected}')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except RecursionError:
        raise ValueError(f'{path} is nested too deep; expected {expected}') from None
    except ValueError as error:
        raise ValueError(f'{path} is not JSON ({error}); expected {expected}') from None


def relative_inside(name: str) -> PurePosixPath:
    """A relative path that was read from a file, for use below a folder.

    Raises:
        ValueError: it is absolute, empty, or leads outside with ``..``; the message continues "<name> ...".
    """
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ':'
    if not path.parts or path.is_absolute() or drive or '..' in path.parts or '\0' in name:
        raise ValueError('points outside, expected a relative path without ..')
    return path


def inside(root: Path, name: Any, source: Path) -> Path:
    """The path ``name``, read from the file ``source``, below ``root``, with symbolic links followed.

    Raises:
        ValueError: it is not inside ``root``.
    """
    try:
        if not isinstance(name, str):
            raise ValueError(f'is a {type(name).__name__}, expected a relative path')
        path = root / relative_inside(name)
        if not path.resolve().is_relative_to(root.resolve()):
            raise ValueError('is a link to the outside, expected a file inside the folder')
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f'{source}: the path {name!r} below {root} {error}; restore the file') from None
    return path
