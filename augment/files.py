"""Atomic writes, JSON lines and checksums."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TEMPORARY = '.partial-'
"""Prefix of files that are being written; those of a killed run are removed at the next start."""

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` under a temporary name in the same folder, then rename.

    Raises ``OSError`` naming the path and the remedy when the disk is full or not writable; ``path`` is then
    unchanged.
    """
    temporary = path.with_name(f'{TEMPORARY}{os.getpid()}-{_host()}-{path.name}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open('wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> OSError:
    """The same error, naming ``path`` and what to do about it."""
    if error.errno in FULL_DISK:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(next(p for p in path.parents if p.exists())).free
            return OSError(
                error.errno,
                f'disk full while writing {path} ({size_text(free)} free): {error.strerror}. Free some space or name '
                'another --out or --cache; the same command then continues where it stopped',
            )
    return OSError(
        error.errno, f'cannot write {path}: {error.strerror}. Check that the folder may be written to'
    )


def size_text(size: float) -> str:
    """``size`` in bytes with a unit."""
    for unit in ('B', 'kB', 'MB'):
        if size < 1000:
            return f'{size:.0f} {unit}'
        size /= 1000
    return f'{size:.1f} GB'


def copy_file(source: Path, target: Path) -> None:
    """Copy byte for byte unless ``target`` has this content already."""
    content = source.read_bytes()
    if not (target.is_file() and target.stat().st_size == len(content) and target.read_bytes() == content):
        write_bytes(target, content)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write an ``(H, W, 3)`` or ``(H, W)`` uint8 array as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format='PNG')
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value with sorted keys."""
    write_bytes(path, json_line(value).encode())


def json_line(value: Any) -> str:
    """``value`` as one line of JSON with sorted keys; NaN and infinities are refused."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False) + '\n'


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def inside(root: Path, name: object, where: str) -> Path:
    """The path ``name`` below ``root``; ``where`` names the file, and the place in it, that ``name`` was read from.

    Raises ``ValueError`` when it is no relative path, or leads outside ``root`` with ``..`` or a symbolic link.
    """
    problem = ''
    if not isinstance(name, str) or not name or '\0' in name:
        problem = 'is no path'
    elif Path(name).is_absolute() or '..' in Path(name).parts:
        problem = 'points outside'
    else:
        try:
            if not (root / name).resolve().is_relative_to(root.resolve()):
                problem = 'is a link to the outside'
        except (OSError, RuntimeError) as error:
            problem = f'cannot be resolved ({error})'
    if problem:
        raise ValueError(
            f'{where}: path {name!r} {problem}; expected a relative path below {root}. Restore the file, or remove the '
            'folder to start again'
        )
    return root / name


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a name on the way from ``root`` to ``path`` begins with a dot, as those of temporary files do."""
    return any(part.startswith('.') for part in path.relative_to(root).parts)


def is_abandoned(temporary: Path) -> bool:
    """Whether the process that was writing a file, one of this machine, has ended."""
    process, _, rest = temporary.name.removeprefix(TEMPORARY).partition('-')
    if not process.isdigit() or not rest.startswith(f'{_host()}-'):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _host() -> str:
    return f'{zlib.crc32(socket.gethostname().encode()):08x}'


def temporaries(folder: Path) -> Iterator[Path]:
    """Half-written files of a killed run under ``folder``."""
    yield from (p for p in sorted(folder.rglob(f'{TEMPORARY}*')) if p.is_file())
