"""Reading checkpoints without running what a stranger put into them.

``torch.load(weights_only=True)`` refuses every pickled global that it does not know. The few that
mmengine's own checkpoints hold (log histories and numpy numbers) are admitted here, each as narrowly as
it goes; importing :mod:`mmseg.engine` or :mod:`mmseg.apis` does it. Anything else stays refused.
"""

import io
import pickle
import re
from pathlib import Path

import numpy as np
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, get_external_models

_HISTORY_STATISTICS = ('min', 'max', 'mean', 'current')
_NUMPY_DTYPES = ['Bool', 'Float16', 'Float32', 'Float64', 'Str', 'Bytes']
_NUMPY_DTYPES += [f'{sign}Int{bits}' for sign in ('', 'U') for bits in (8, 16, 32, 64)]
# numpy 2 moved these; files name the place of the numpy that wrote them
_NUMPY_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')

Location = str | torch.device | None


class UnsafeCheckpointError(ValueError):
    """A checkpoint holds pickled objects beyond tensors, numbers, strings and containers."""


class BrokenCheckpointError(ValueError):
    """A checkpoint is cut off or is no checkpoint."""


def _history_statistic(owner: type, name: str):
    """Stands in for ``getattr`` in a pickle: a log history names its own statistics with it, no more."""
    if owner is not HistoryBuffer or name not in _HISTORY_STATISTICS:
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL builtins.getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def register_safe_globals() -> None:
    """Admit what mmengine's checkpoints hold to ``torch.load(weights_only=True)``; repeatable."""
    multiarray = np.array(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    admitted = [HistoryBuffer, np.ndarray, np.dtype, (_history_statistic, 'builtins.getattr')]
    admitted += [getattr(np.dtypes, f'{name}DType') for name in _NUMPY_DTYPES]
    for module in _NUMPY_MODULES:
        admitted += [(function, f'{module}.{function.__name__}') for function in multiarray]
    torch.serialization.add_safe_globals(admitted)


def _refused_globals(file, message: str) -> list[str]:
    """Names of what was refused: all of them from a zip file, the first from an older format."""
    try:
        if names := torch.serialization.get_unsafe_globals_in_checkpoint(file):
            return names
    except Exception:
        pass  # the old format can't be listed; the message names one
    return (
        re.findall(r'GLOBAL ([\w.]+)', message)[:1] or re.findall(r'[Tt]ype(?:/function)? (\S+)', message)[:1]
    )


def _load(file, name: str, map_location: Location) -> dict:
    try:
        return torch.load(file, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if hasattr(file, 'seek'):
            file.seek(0)
        refused = ', '.join(_refused_globals(file, str(error))) or str(error).splitlines()[0]
        raise UnsafeCheckpointError(
            f'{name}: refused, because it holds more than tensors, numbers, strings and containers: {refused}. '
            'Loading such a file can run any code. Expected: a checkpoint that torch.load(weights_only=True) reads. '
            'If you trust where it comes from, either admit the class with '
            'torch.serialization.add_safe_globals([...]) in a module named by custom_imports, or convert the file '
            "once: torch.save({'state_dict': torch.load(old, weights_only=False)['state_dict']}, new)"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        if isinstance(error, FileNotFoundError) or 'CUDA' in str(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BrokenCheckpointError(
            f'{name}: not a whole checkpoint ({reason}). Expected a file written by torch.save; '
            'it was probably cut off while it was written or copied. Take an earlier one, or fetch it again'
        ) from error


def load_from_local(filename: str, map_location: Location = None) -> dict:
    """Load a checkpoint from disk, tensors and plain values only.

    Raises:
        FileNotFoundError: no such file.
        UnsafeCheckpointError: it holds pickled objects that are not admitted; names file and objects.
        BrokenCheckpointError: it is cut off.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {filename} can not be found')
    return _load(str(path), str(filename), map_location)


def load_from_storage(filename: str, map_location: Location = None) -> dict:
    """The same through mmengine's storage backends (s3, petrel)."""
    with io.BytesIO(get_file_backend(filename).get(filename)) as buffer:
        return _load(buffer, filename, map_location)


def load_from_http(filename: str, map_location: Location = None) -> dict:
    """The same for a URL, kept in torch's cache folder; local rank 0 downloads first."""
    from mmengine.dist import barrier, get_local_rank

    cached = Path(torch.hub.get_dir()) / 'checkpoints' / Path(filename.split('?')[0]).name
    if get_local_rank() == 0 and not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(filename, str(cached))
    barrier()
    return load_from_local(str(cached), map_location)


def load_from_openmmlab(filename: str, map_location: Location = None) -> dict:
    """The same for ``open-mmlab://NAME``, a name of mmengine's table of models."""
    name = filename.split('://', 1)[1]
    urls = get_external_models()
    if name not in urls:
        raise ValueError(f'{filename}: unknown model name {name!r}; mmengine knows {", ".join(sorted(urls))}')
    return load_from_http(urls[name], map_location)


def register_checkpoint_loaders() -> None:
    """Put the loaders above in the place of mmengine's, for every caller of its ``load_checkpoint``."""
    for prefixes, loader in (
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        ([r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], load_from_storage),
        (('open-mmlab://', 'openmmlab://'), load_from_openmmlab),
    ):
        CheckpointLoader.register_scheme(prefixes=prefixes, loader=loader, force=True)
