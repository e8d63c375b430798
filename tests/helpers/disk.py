"""Disks that can not be written to, for programs that run in the process of the test."""

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CHANGES = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir'}
_read_only: list[str] = []
_installed: list[bool] = []


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file can be longer than ``limit`` bytes: what is beyond fails as on a full disk, with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in ``folder`` can be changed: Python's calls fail with EROFS. Root may write in spite of permissions."""
    if not _installed:  # an audit hook stays for good
        sys.addaudithook(_refuse)
        _installed.append(True)
    _read_only.append(str(folder))
    try:
        yield
    finally:
        _read_only.remove(str(folder))


def _refuse(event: str, arguments: tuple) -> None:
    if not _read_only:
        return
    writes = (
        event == 'open'
        and isinstance(arguments[2], int)
        and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    if not (writes or event in _CHANGES) or isinstance(arguments[0], int):
        return
    path = str(Path(os.fsdecode(arguments[0])).absolute())
    if any(path.startswith(folder + '/') for folder in _read_only):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(arguments[0]))
