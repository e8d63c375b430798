"""Read a checkpoint without unpickling it.

``torch.load(weights_only=True)`` refuses every pickled global that it does not know. mmengine's checkpoints
hold a few more, log histories and numpy numbers; they are admitted here, each as narrowly as possible and only
while a file is read. Everything else is refused.
"""

import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_HISTORY_STATISTICS = ('min', 'max', 'mean', 'current')
_NUMPY_DTYPES = ['Bool', 'Float16', 'Float32', 'Float64', 'Str', 'Bytes']
_NUMPY_DTYPES += [f'{sign}Int{bits}' for sign in ('', 'U') for bits in (8, 16, 32, 64)]
# numpy 2 moved these; a file names the module of the numpy that wrote it
_NUMPY_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')

# what torch.load raises for bytes that are no checkpoint
_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)

Location = str | torch.device | None


class UnsafeCheckpointError(ValueError):
    """A checkpoint holds pickled objects beyond tensors, numbers, strings and containers."""


class BrokenCheckpointError(ValueError):
    """A checkpoint is truncated, or the file is no checkpoint."""


def _history_statistic(owner: type, name: str):
    """Stands in for ``getattr`` in a pickle: gives a log history its own statistics and nothing else."""
    if owner is not HistoryBuffer or name not in _HISTORY_STATISTICS:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL builtins.getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


@cache
def _globals_of_mmengine() -> tuple:
    """What mmengine's checkpoints hold beyond torch's own list."""
    multiarray = np.array(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    admitted = [HistoryBuffer, np.ndarray, np.dtype, (_history_statistic, 'builtins.getattr')]
    admitted += [getattr(np.dtypes, f'{name}DType') for name in _NUMPY_DTYPES]
    for module in _NUMPY_MODULES:
        admitted += [(function, f'{module}.{function.__name__}') for function in multiarray]
    return tuple(admitted)


@contextmanager
def _admitted() -> Iterator[None]:
    """Extend torch's list of safe globals inside the block; what a user has put there stays there."""
    present = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([item for item in _globals_of_mmengine() if item not in present]):
        yield


def _refused_globals(file: str | IO[bytes], message: str) -> list[str]:
    """Names of what was refused: all of them from a zip file, the first from an older format."""
    try:
        if names := torch.serialization.get_unsafe_globals_in_checkpoint(file):
            return names
    except Exception:
        pass  # the old format can't be listed; the message names one
    return (
        re.findall(r'GLOBAL ([\w.]+)', message)[:1] or re.findall(r'[Tt]ype(?:/function)? (\S+)', message)[:1]
    )


def broken(name: str | Path, reason: str) -> BrokenCheckpointError:
    """The error for a checkpoint that is truncated or damaged."""
    return BrokenCheckpointError(
        f'{name}: not a whole checkpoint ({reason}). Expected a file written by torch.save; it was '
        'probably truncated while it was written or copied. Use an earlier one, or copy it again'
    )


def read_checkpoint_stream(file: str | IO[bytes], name: str, map_location: Location = None) -> dict:
    """Read a checkpoint from an open file or a path; errors name it ``name``.

    Raises:
        UnsafeCheckpointError: it holds pickled objects that are not admitted; names file and objects.
        BrokenCheckpointError: it is truncated.
    """
    with _admitted():
        try:
            return torch.load(file, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            if hasattr(file, 'seek'):
                file.seek(0)
            refused = ', '.join(_refused_globals(file, str(error))) or str(error).splitlines()[0]
            raise UnsafeCheckpointError(
                f'{name}: refused, because it holds more than tensors, numbers, strings and containers: {refused}. '
                'Loading such a file can run any code. Expected: a checkpoint that '
                'torch.load(weights_only=True) reads. If you trust its source, either admit the class with '
                'torch.serialization.add_safe_globals([...]) in a module named by custom_imports, or convert the '
                "file once: torch.save({'state_dict': torch.load(old, weights_only=False)['state_dict']}, new)"
            ) from error
        except _DAMAGE as error:
            if isinstance(error, FileNotFoundError) or 'CUDA' in str(error):
                raise
            raise broken(name, (str(error).splitlines() or [type(error).__name__])[0]) from error


def damage(path: str | Path) -> str | None:
    """What is wrong with a file that ``torch.save`` wrote: its zip directory or a checksum; None: nothing.

    A file of torch's format before 1.6, which has no checksums, is not judged.
    """
    try:
        with Path(path).open('rb') as file:
            if file.read(2) not in (b'PK', b''):
                return None
        with zipfile.ZipFile(path) as archive:
            record = archive.testzip()
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        return str(error) or type(error).__name__
    return None if record is None else f'wrong checksum of its record {record}'


def read_checkpoint_file(path: str | Path, map_location: Location = None) -> dict:
    """Read a checkpoint from the local disk.

    Raises:
        FileNotFoundError: no such file.
        UnsafeCheckpointError, BrokenCheckpointError: see :func:`read_checkpoint_stream`.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        what = 'is not a file' if file.exists() else 'does not exist'
        raise FileNotFoundError(
            f'checkpoint {path} {what}; expected a file written by torch.save, check its path'
        )
    if reason := damage(file):
        raise broken(path, reason)
    return read_checkpoint_stream(str(file), str(path), map_location)
