"""Worker processes that end with their parent, and locks that keep a second process out of a folder.

Uses the standard library only, so that worker processes start quickly.
"""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: Environment variable with the processor cores that a process may use, where others run beside it.
CORES = 'MMSEG_CORES'

# of malloc.h; the largest block that is kept must be at most 32 MiB
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT, _LARGEST_KEPT = 64 << 20, 32 << 20
# descriptors of the locks that this process holds
_held: set[int] = set()


def end_with_parent() -> None:
    """End this worker process as soon as its parent has ended, whatever ended it; for pool initializers.

    A worker of a pool waits for work forever: it holds both ends of the queue. The pipe that
    :func:`multiprocessing.parent_process` watches closes with the parent, on every operating system.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_exit, args=(parent.sentinel,), daemon=True).start()


def _wait_and_exit(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def keep_freed_memory() -> bool:
    """Let this process keep up to 64 MiB that it frees; returns whether the C library (glibc) takes the setting.

    glibc gives freed images back to the system, page by page, and asks for the same pages again for the next image, which
    takes longer than resizing it.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        # both, since setting one ends the adaptation of the other
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, _KEPT))
    return False


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of new processes (``spawn``) that end with this one."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        yield pool


class FolderInUseError(ValueError):
    """Another process holds the lock of a folder."""


@contextmanager
def locked(path: Path, what: str, keep: bool = False) -> Iterator[int]:
    """Hold the lock file ``path``, which names the process and its host; released when the process ends, however.

    Programs that inherit the descriptor hold the lock, too. Processes forked without ``exec``, such as the workers of
    data loaders, do not.

    Args:
        path: of the lock file.
        what: for the message: ``'the work folder work_dirs/a'``.
        keep: do not remove the file at the end; for descriptors that are inherited.

    Yields:
        The file descriptor, for programs to inherit.

    Raises:
        FolderInUseError: another process has the lock; names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open_locked(path, what)
    _held.add(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f'process {os.getpid()} on {socket.gethostname()}\n'.encode(), 0)
        yield descriptor
    finally:
        if not keep:
            path.unlink(missing_ok=True)
        _held.discard(descriptor)
        os.close(descriptor)


def _open_locked(path: Path, what: str) -> int:
    """Open and lock the file; again where the last holder removed it between the two."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _acquire(descriptor, path, what)
            if _is_open(path, os.fstat(descriptor)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, what: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderInUseError(
            f'{what} is in use by {holder(path)}, expected no other process at work in it; wait for it, end it, or name '
            'another folder'
        ) from None
    except OSError as error:
        warnings.warn(f'{path} can not be locked ({error}): start nothing else in that folder', stacklevel=4)


def holder(path: Path) -> str:
    """The processes that hold a lock file, as text: those of this machine (on Linux), else what the file says."""
    try:
        recorded = ' '.join(path.read_text(encoding='utf-8', errors='replace')[:200].split())
        inode = path.stat()
    except OSError:
        return 'another process'
    processes = []
    for folder in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and any(
                _is_open(fd, inode) for fd in (folder / 'fd').iterdir()
            ):
                command = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
                command = ' '.join(command.split())
                processes.append(f'process {folder.name} on {socket.gethostname()} ({command[:80]})')
    return ' and '.join(processes) or recorded or 'another process'


def _is_open(descriptor: Path, status: os.stat_result) -> bool:
    try:
        other = descriptor.stat()
    except OSError:
        return False
    return (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)


def _close_in_child() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_close_in_child)
