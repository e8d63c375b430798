"""Atomic writes: a file has its old content or its whole new content, never a part of it."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmseg.file_errors import named

# in the errors of torch.save, which hide those of the operating system
_OF_TORCH_SAVE = ('PytorchStreamWriter', 'inline_container', 'unexpected pos', 'iostream error')
# names of temporary files, .<name>.<process>.tmp
_TEMPORARY = re.compile(r'\..+\.\d+\.tmp')


@contextmanager
def atomic_path(path: str | Path, sync: bool = True) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to ``path`` when the block ends without an error.

    Missing folders are created; after an error the temporary file is removed and the old file is unchanged.

    Args:
        path: of the file.
        sync: wait until the content is on disk, so that a power failure, too, leaves a whole file.

    Raises:
        OSError: the file can not be written, for example because the disk is full; names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield temporary
        if sync:
            with temporary.open('rb') as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise named(error, path, temporary) from error
    except RuntimeError as error:
        if any(mark in str(error) for mark in _OF_TORCH_SAVE):
            raise OSError(
                errno.ENOSPC, 'can not be written, the disk or its quota is full', str(path)
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: str | Path) -> None:
    """Remove the temporary files that killed processes left in ``folder``; only for the process that owns it."""
    for path in Path(folder).glob('.*.tmp'):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to ``path``."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode('utf-8') if isinstance(content, str) else content)
