"""Errors in user input and notes as one line."""

import errno
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# how PyTorch names the two resources that run out
_SHARED_MEMORY = ('shared memory', 'shm_open', 'Bus error')
_WRITER = 'PytorchStreamWriter'
_OF_A_WORKER = 'Original Traceback (most recent call last)'


@contextmanager
def notes() -> Iterator[None]:
    """While a command runs, warnings for users are lines that begin with ``note:``, without a place in the code.

    They are of the category ``UserWarning``; those for developers, such as ``DeprecationWarning``, stay as they are.
    """
    python = warnings.formatwarning

    def formatted(message, category, filename, lineno, line=None):
        if category is UserWarning:
            return f'note: {" ".join(str(message).split())}\n'
        return python(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = python


def one_line(error: BaseException) -> str:
    """The message of an error in one line; of an error in a data loader's worker, that of the worker."""
    if isinstance(error, OSError) and error.errno in _FULL | _FORBIDDEN:
        return _unwritable(error)
    text = str(error)
    if _OF_A_WORKER in text:
        kind, _, message = text.strip().splitlines()[-1].partition(': ')
        text = (
            message if message and kind.rpartition('.')[2].isidentifier() else text.strip().splitlines()[-1]
        )
    return ' '.join(text.split()) or type(error).__name__


def _unwritable(error: OSError) -> str:
    if error.filename is None:
        return ' '.join(str(error).split())
    path = Path(os.fsdecode(error.filename))
    if error.errno in _FORBIDDEN:
        return f'{path}: {error.strerror}; expected a file or folder that may be read and written: change its permissions'
    folder = next((p for p in path.absolute().parents if p.exists()), Path('/'))
    free = shutil.disk_usage(folder).free / 2**20
    return (
        f'{path}: {error.strerror} ({free:.1f} MiB free); free some space, or name a folder on another disk. The same '
        'command continues'
    )


def resource_error(error: RuntimeError) -> str | None:
    """The line for a RuntimeError of PyTorch that means a full disk or full shared memory; None for others."""
    text = ' '.join(str(error).split())
    if any(mark in text for mark in _SHARED_MEMORY):
        return (
            f'/dev/shm, through which data loaders pass batches, is full ({text[:120]}); give it more room (docker run '
            '--shm-size=8g), or set --cfg-options train_dataloader.num_workers=0 train_dataloader.persistent_workers=False'
        )
    if _WRITER in text:
        return (
            f'a checkpoint can not be written, the disk is full or read-only ({text[:120]}); free some space, or name '
            'another --work-dir. Existing files are whole, and --resume continues'
        )
    return None
