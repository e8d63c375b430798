"""Begin a training with the weights of another one, which may have had other classes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from .checkpoint_fit import CheckpointMismatchError, compare_weights
from .checkpoint_loading import read_checkpoint, refuse_non_finite, weights_of

#: Layers with one output channel for each class.
_CLASSIFIER = re.compile(r'(^|[._])conv_seg\.(weight|bias)$')
# has no influence on the model
_COUNTER = 'num_batches_tracked'
_NAMED_ON_SCREEN = 8


@dataclass(frozen=True)
class InitialWeights:
    """What of a checkpoint a model can begin with.

    Attributes:
        tensors: by key of the model; those of classifiers hold the rows of the shared classes and the model's own rows.
        total: number of tensors of the model.
        unused: of the checkpoint, each with the reason.
        initial: of the model, which keep their initial values.
        shared, new, dropped: names of classes that both have, the model alone, and the checkpoint alone; None: the
            classes could not be compared by name.
    """

    tensors: dict[str, Tensor]
    total: int
    unused: tuple[str, ...]
    initial: tuple[str, ...]
    shared: tuple[str, ...] | None = None
    new: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def lines(self, limit: int | None = None) -> list[str]:
        """What was loaded and what could not be used, each list cut after ``limit`` names."""
        lines = [f'{len(self.tensors)} of {self.total} tensors']
        if self.unused:
            lines.append(f'{len(self.unused)} of the checkpoint not used: {_listed(self.unused, limit)}')
        if self.initial:
            lines.append(f'{len(self.initial)} keep their initial values: {_listed(self.initial, limit)}')
        if self.shared is not None and (self.new or self.dropped):
            lines.append(
                f'classes {_listed(self.shared, limit) or "none"} keep their weights; new: '
                f'{_listed(self.new, limit) or "none"}; left out: {_listed(self.dropped, limit) or "none"}'
            )
        return lines


def _listed(names: Sequence[str], limit: int | None) -> str:
    more = f' and {len(names) - limit} more' if limit is not None and len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def match_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    classes: Sequence[str] | None = None,
    old_classes: Sequence[str] | None = None,
) -> InitialWeights:
    """Compare a checkpoint with a model, which is not changed.

    Tensors fit by key and shape. The rows of classifiers are matched by the names of the classes, where those of
    both are known; else a classifier fits by its shape.

    Args:
        model: to be trained.
        state: weights of the checkpoint by key.
        classes: names of the model's classes, in the order of their ids.
        old_classes: of the checkpoint's.
    """
    named = bool(classes) and bool(old_classes)
    fit = compare_weights(model, dict(state))
    current = model.state_dict()
    tensors, unused = {}, [f'{key} (not in the model)' for key in fit.unexpected]
    rows = (
        [(i, list(old_classes).index(name)) for i, name in enumerate(classes) if name in old_classes]
        if named
        else []
    )
    for key, value in state.items():
        if key not in current:
            continue
        sizes = (len(current[key]), len(value)) if current[key].ndim and value.ndim else ()
        by_name = named and _CLASSIFIER.search(key) and sizes == (len(classes), len(old_classes))
        if by_name and current[key].shape[1:] == value.shape[1:]:
            if rows:
                tensors[key] = _with_rows(current[key], value, rows)
            else:
                unused.append(f'{key} (no class in common)')
        elif key in fit.loaded:
            tensors[key] = value
        else:
            unused.append(f'{key} ({_shape(value)}, here {_shape(current[key])})')
    initial = tuple(key for key in current if key not in tensors and not key.endswith(_COUNTER))
    total = len(current) - sum(key.endswith(_COUNTER) and key not in tensors for key in current)
    if not named:
        return InitialWeights(tensors, total, tuple(unused), initial)
    return InitialWeights(
        tensors,
        total,
        tuple(unused),
        initial,
        tuple(name for name in classes if name in old_classes),
        tuple(name for name in classes if name not in old_classes),
        tuple(name for name in old_classes if name not in classes),
    )


def _with_rows(current: Tensor, value: Tensor, rows: Sequence[tuple[int, int]]) -> Tensor:
    result = current.detach().cpu().clone()
    for new, old in rows:
        result[new] = value[old].to(result)
    return result


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'


def stored_classes(checkpoint: Mapping) -> tuple[str, ...] | None:
    """Names of the classes of a checkpoint, also of mmsegmentation 0.x; None where it has none."""
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    dataset = meta.get('dataset_meta')
    names = dataset.get('classes') if isinstance(dataset, Mapping) else meta.get('CLASSES')
    return tuple(names) if isinstance(names, list | tuple) and names else None


def load_initial_weights(runner: Runner, filename: str) -> InitialWeights:
    """Load what fits of a checkpoint into the model of a training; the log says what does not.

    The training begins at iteration 0 with a new optimizer, whatever the checkpoint holds of its own.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointMismatchError: no tensor fits but those of classifiers.
        BrokenCheckpointError, UnsafeCheckpointError: see :func:`.checkpoint_loading.read_checkpoint`.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    checkpoint = read_checkpoint(filename, 'cpu')
    state = {re.sub(r'^module\.', '', key): value for key, value in weights_of(checkpoint, filename).items()}
    metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
    weights = match_weights(model, state, metainfo.get('classes'), stored_classes(checkpoint))
    if all(_CLASSIFIER.search(key) or key.endswith(_COUNTER) for key in weights.tensors):
        raise CheckpointMismatchError(
            f'init_from: {filename} has {len(state)} tensors, none of which fits the {type(model).__name__} of the '
            f'config (first: {next(iter(state))}; here: {next(iter(model.state_dict()))}); expected a checkpoint of '
            'the same architecture'
        )
    refuse_non_finite(model, weights.tensors, filename)
    with torch.no_grad():
        model.load_state_dict(weights.tensors, strict=False)
    if is_main_process():
        runner.logger.info(f'init_from {filename}: {"; ".join(weights.lines())}')
        if weights.unused or weights.initial:
            runner.logger.warning(f'init_from {filename}: {"; ".join(weights.lines(_NAMED_ON_SCREEN))}')
    return weights
