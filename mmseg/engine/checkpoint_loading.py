"""Load checkpoints by name into models; nothing is ever unpickled, see :mod:`mmseg.utils.checkpoint_reading`.

mmengine's loaders are not replaced; the runner and the inference API of this package call these functions instead.
"""

import io

import torch
from mmengine.fileio import get_file_backend
from mmengine.runner.checkpoint import _load_checkpoint_to_model

from mmseg.models.utils.weight_sources import fetch
from mmseg.utils.checkpoint_reading import (
    BrokenCheckpointError,
    Location,
    read_checkpoint_file,
    read_checkpoint_stream,
)

_STORAGE_SCHEMES = ('s3', 'petrel')


def read_checkpoint(filename: str, map_location: Location = None) -> dict:
    """Read a checkpoint: tensors and plain values only.

    Args:
        filename: a file, ``~`` allowed; a URL or a name as in :mod:`mmseg.models.utils.weight_sources`; or a path
            of mmengine's storage backends (``s3://``, ``cluster:s3://``, ``petrel://``).
        map_location: as in ``torch.load``.

    Raises:
        FileNotFoundError: it does not exist or can't be downloaded.
        UnsafeCheckpointError: it holds pickled objects that are not admitted; names file and objects.
        BrokenCheckpointError: it is truncated, or no checkpoint.
        ValueError: an unknown name or scheme.
    """
    filename = str(filename)
    content = _read(filename, map_location)
    if not isinstance(content, dict):
        raise BrokenCheckpointError(
            f'{filename}: holds a {type(content).__name__}, expected a dict with the weights; save '
            "torch.save({'state_dict': model.state_dict()}, path)"
        )
    return content


def _read(filename: str, map_location: Location) -> object:
    scheme = filename.partition('://')[0] if '://' in filename else ''
    if not scheme:
        return read_checkpoint_file(filename, map_location)
    if scheme.rpartition(':')[2] in _STORAGE_SCHEMES:
        with io.BytesIO(get_file_backend(filename).get(filename)) as buffer:
            return read_checkpoint_stream(buffer, filename, map_location)
    return read_checkpoint_file(fetch(filename), map_location)


def load_checkpoint(
    model: torch.nn.Module,
    filename: str,
    map_location: Location = None,
    strict: bool = False,
    revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
) -> dict:
    """mmengine's ``load_checkpoint`` without unpickling.

    Args:
        model: takes the weights.
        filename: see :func:`read_checkpoint`, which also lists what is raised.
        map_location: as in ``torch.load``.
        strict: raise where keys of model and checkpoint differ.
        revise_keys: pairs (regular expression, replacement) applied to the checkpoint's keys.

    Returns:
        The whole checkpoint.
    """
    return load_checkpoint_into(model, read_checkpoint(filename, map_location), strict, revise_keys)


def load_checkpoint_into(
    model: torch.nn.Module,
    checkpoint: dict,
    strict: bool = False,
    revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
) -> dict:
    """Load a checkpoint that was read; arguments as in :func:`load_checkpoint`."""
    return _load_checkpoint_to_model(model, checkpoint, strict, revise_keys=revise_keys)
