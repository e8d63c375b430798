"""Load checkpoints by name into models; nothing is ever unpickled, see :mod:`mmseg.utils.checkpoint_reading`.

mmengine's loaders are not replaced; the runner and the inference API of this package call these functions instead.
"""

import io
import logging
import re
from pathlib import Path

import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper

from mmseg.models.utils.weight_sources import fetch
from mmseg.utils.checkpoint_reading import (
    BrokenCheckpointError,
    Location,
    read_checkpoint_file,
    read_checkpoint_stream,
)

from .checkpoint_fit import CheckpointMismatchError, compare_weights

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
    strict: bool = True,
    revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
) -> dict:
    """mmengine's ``load_checkpoint`` without unpickling, strict unless told otherwise.

    Args:
        model: takes the weights.
        filename: see :func:`read_checkpoint`, which also lists what is raised.
        map_location: as in ``torch.load``.
        strict: refuse a checkpoint whose keys or shapes differ from the model's; False loads what fits.
        revise_keys: pairs (regular expression, replacement) applied to the checkpoint's keys.

    Returns:
        The whole checkpoint.

    Raises:
        CheckpointMismatchError, BrokenCheckpointError: see :func:`load_checkpoint_into`.
    """
    return load_checkpoint_into(model, read_checkpoint(filename, map_location), strict, revise_keys, filename)


def load_checkpoint_into(
    model: torch.nn.Module,
    checkpoint: dict,
    strict: bool = True,
    revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
    name: str | Path = 'checkpoint',
) -> dict:
    """Load a checkpoint that was read; arguments as in :func:`load_checkpoint`, ``name`` is for messages.

    With ``strict=False`` the log says how much was loaded.

    Raises:
        CheckpointMismatchError: keys or shapes differ from the model's and ``strict`` is set, or nothing fits.
        BrokenCheckpointError: it has no weights, or weights that are not finite.
    """
    model = model.module if is_model_wrapper(model) or isinstance(model, BaseTTAModel) else model
    fit = compare_weights(model, _revised(weights_of(checkpoint, name), revise_keys))
    if not fit.loaded or (strict and not fit.complete):
        raise CheckpointMismatchError(f'{name}: {fit.refusal(type(model).__name__)}')
    refuse_non_finite(model, fit.loaded, name)
    model.load_state_dict(fit.loaded, strict=False)
    if not fit.complete:
        print_log(f'{name}: {fit.summary()}; the rest keeps its initial values', 'current', logging.WARNING)
    return checkpoint


def weights_of(checkpoint: dict, name: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint: its ``state_dict``, or the checkpoint itself where it has no such key.

    Raises:
        BrokenCheckpointError: it has none.
    """
    state = checkpoint.get('state_dict', checkpoint)
    tensors = {}
    if isinstance(state, dict):
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        keys = ', '.join(map(repr, list(checkpoint)[:5])) or 'no key'
        raise BrokenCheckpointError(
            f'{name}: has no weights (it holds {keys}), expected a dict of tensors under the key state_dict; save '
            "torch.save({'state_dict': model.state_dict()}, path)"
        )
    return tensors


def _revised(state: dict, revise_keys: list[tuple[str, str]]) -> dict:
    for pattern, replacement in revise_keys:
        state = {re.sub(pattern, replacement, key): value for key, value in state.items()}
    return state


def refuse_non_finite(model: torch.nn.Module, tensors: dict[str, torch.Tensor], name: str | Path) -> None:
    """Refuse tensors that are not finite; a buffer of ``model`` may hold infinities (masks of attention), but no NaN.

    Raises:
        BrokenCheckpointError: names the checkpoint ``name`` and the first such tensor.
    """
    parameters = {key for key, _ in model.named_parameters()}
    wrong = []
    for key, value in tensors.items():
        if value.is_floating_point() and value.numel():
            bad = ~torch.isfinite(value) if key in parameters else torch.isnan(value)
            if bad.any():
                wrong.append(key)
    if wrong:
        raise BrokenCheckpointError(
            f'{name}: {len(wrong)} of {len(tensors)} tensors hold NaN or infinite weights (first: {wrong[0]}), '
            'expected finite numbers; the training diverged: take an earlier checkpoint, or train with a lower rate'
        )
