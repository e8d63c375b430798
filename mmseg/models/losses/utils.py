"""What the losses share: reduction, class weights, labels as dense masks."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ENET = 'enet'
REDUCTIONS = ('none', 'mean', 'sum')


def check_reduction(reduction: str | None, owner: str, allowed: Sequence[str | None] = REDUCTIONS) -> None:
    """Raises ``ValueError`` naming ``owner`` if ``reduction`` is not one of ``allowed``."""
    if reduction not in allowed:
        raise ValueError(f'{owner}: reduction must be one of {list(allowed)}, got {reduction!r}')


def as_float32(pred: torch.Tensor) -> torch.Tensor:
    """``pred`` in float32 if it is in half precision; float32 and float64 stay as they are.

    Products of probabilities and sums over a million pixels leave the range of float16 and the eight
    bits of bfloat16, so no loss computes in them, whatever autocast gives the network.
    """
    return pred if pred.dtype in (torch.float32, torch.float64) else pred.float()


def one_hot(target: torch.Tensor, num_classes: int, dtype: torch.dtype) -> torch.Tensor:
    """Label ids (N, ...) as (N, num_classes, ...); an id outside [0, num_classes) gets zeros everywhere."""
    ids = torch.arange(num_classes, device=target.device).view(1, -1, *[1] * (target.ndim - 1))
    return (target.unsqueeze(1) == ids).to(dtype)


# --------------------------------------------------------------------------- reduction


def reduce_loss(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    """``loss`` as it is ('none'), its mean or its sum."""
    check_reduction(reduction, 'reduce_loss')
    if reduction == 'none':
        return loss
    return loss.mean() if reduction == 'mean' else loss.sum()


def weight_reduce_loss(
    loss: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiplies a loss by its weights and reduces it.

    Args:
        loss: one loss per element, any shape.
        weight: of the same number of dimensions; dimension 1 may be 1 and is then broadcast.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: what 'mean' divides the sum by, in place of the number of elements. No effect with 'none'.

    Raises:
        ValueError: if ``weight`` does not fit ``loss``, or ``avg_factor`` comes with ``reduction='sum'``.
    """
    if weight is not None:
        if weight.ndim != loss.ndim or (loss.ndim > 1 and weight.shape[1] not in (1, loss.shape[1])):
            raise ValueError(
                f'weight of shape {tuple(weight.shape)} does not fit a loss of shape {tuple(loss.shape)}: '
                'give one weight per element of the loss'
            )
        loss = loss * weight
    if avg_factor is None:
        return reduce_loss(loss, reduction)
    if reduction == 'sum':
        raise ValueError('avg_factor can not be used with reduction="sum": a sum is not divided by anything')
    check_reduction(reduction, 'weight_reduce_loss')
    if reduction == 'none':
        return loss
    # The epsilon makes a batch of nothing but ignored pixels 0 / eps = 0 in place of nan.
    return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)


def weighted_loss(loss_func: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Gives an element-wise ``loss_func(pred, target, **kwargs)`` the arguments of ``weight_reduce_loss``.

    Example:
        >>> @weighted_loss
        ... def l1_loss(pred, target):
        ...     return (pred - target).abs()
        >>> l1_loss(torch.tensor([0., 2.]), torch.tensor([1., 1.]), weight=torch.tensor([1., 0.]))
        tensor(0.5000)
    """

    @functools.wraps(loss_func)
    def wrapper(pred, target, weight=None, reduction='mean', avg_factor=None, **kwargs):
        return weight_reduce_loss(loss_func(pred, target, **kwargs), weight, reduction, avg_factor)

    return wrapper


def dense_weight(weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Weights per pixel, (N, H, W), (N, 1, H, W) or flat, in the shape of ``target`` and in float32.

    Raises:
        ValueError: if the number of weights is not the number of pixels.
    """
    if weight.numel() != target.numel():
        raise ValueError(
            f'weight of shape {tuple(weight.shape)} does not fit labels of shape {tuple(target.shape)}: '
            'give one weight per pixel'
        )
    return weight.reshape(target.shape).float()


# --------------------------------------------------------------------------- class weights


def get_class_weight(class_weight: Sequence[float] | str | None) -> list[float] | str | None:
    """Class weights from a config value.

    Args:
        class_weight: one number per class; or the path of a .npy, .json, .yaml or .yml file that holds
            them; or ``'enet'``, which stays as it is until ``ClassWeightHook`` replaces it by weights
            computed from the training labels; or None. Pickles are not read.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if its suffix is another one, or its content is not a list of finite numbers >= 0.
    """
    if class_weight is None or class_weight == ENET:
        return class_weight
    source = 'class_weight'
    if isinstance(class_weight, str):
        source = f'class_weight file {class_weight}'
        class_weight = _read_weights(Path(class_weight))
    try:
        values = [float(v) for v in class_weight]
    except (TypeError, ValueError):
        raise ValueError(f'{source} must hold one number per class, got {class_weight!r}') from None
    if not values or not all(0 <= v < float('inf') for v in values):
        raise ValueError(f'{source} must hold finite numbers >= 0, one per class, got {values}')
    return values


def _read_weights(path: Path) -> Sequence[float]:
    if path.suffix not in ('.npy', '.json', '.yaml', '.yml'):
        raise ValueError(
            f"class_weight {str(path)!r} is neither 'enet' nor a .npy, .json, .yaml or .yml file; "
            'save the weights as one of those'
        )
    if not path.is_file():
        raise FileNotFoundError(f'class_weight file {path} does not exist; give an existing file or a list')
    if path.suffix == '.npy':
        return np.load(path, allow_pickle=False).tolist()
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.json':
        return json.loads(text)
    import yaml

    return yaml.safe_load(text)


def enet_class_weight(frequencies: Sequence[float], c: float = 1.02) -> list[float]:
    """Class weights 1 / ln(c + f), with f the share of a class in all labelled pixels.

    Source: Paszke et al. 2016, "ENet", section 5.2. The constant bounds the weights: with c = 1.02 they
    lie between 1.42 (a class that fills every pixel) and 50.5 (a class that never occurs), where weights
    of 1 / f would go to infinity.

    Args:
        frequencies: pixel counts or shares, one per class; divided by their sum here.
        c: above 1.

    Raises:
        ValueError: if ``c`` <= 1, a frequency is negative or not finite, or all are zero.
    """
    f = np.asarray(frequencies, dtype=np.float64)
    if c <= 1:
        raise ValueError(f'enet_class_weight: c must be above 1, or ln(c) bounds nothing; got {c}')
    if f.ndim != 1 or not np.isfinite(f).all() or (f < 0).any() or f.sum() == 0:
        raise ValueError(f'enet_class_weight: frequencies must be >= 0 and not all 0, got {frequencies}')
    return (1 / np.log(c + f / f.sum())).tolist()


class ClassWeightedLoss(nn.Module):
    """A loss with an optional weight per class.

    ``class_weight`` is what the config says, as ``get_class_weight`` reads it, and may be assigned anew.
    The numbers are kept in a buffer too, which follows the model to its device: building a tensor from a
    list in every step would wait for the device and cannot be captured in a CUDA graph. The buffer is
    not part of ``state_dict``.
    """

    def __init__(self, class_weight: Sequence[float] | str | None = None) -> None:
        super().__init__()
        self.register_buffer('_weight_per_class', None, persistent=False)
        self.class_weight = class_weight

    @property
    def class_weight(self) -> list[float] | str | None:
        return self._class_weight

    @class_weight.setter
    def class_weight(self, value: Sequence[float] | str | None) -> None:
        self._class_weight = get_class_weight(value)
        if isinstance(self._class_weight, list):
            old = self._weight_per_class
            device = None if old is None else old.device
            self._weight_per_class = torch.tensor(self._class_weight, dtype=torch.float32, device=device)
        else:
            self._weight_per_class = None

    def class_weight_for(self, pred: torch.Tensor, num_classes: int | None = None) -> torch.Tensor | None:
        """The weights, shape (C,), in dtype and on the device of ``pred``; None if there are none.

        Raises:
            ValueError: if their number is not that of the classes, or they are still to be computed.
        """
        if self._class_weight == ENET:
            raise ValueError(
                f"{type(self).__name__}: class_weight='enet' has no weights yet. Add "
                "dict(type='ClassWeightHook') to custom_hooks, which computes them from the training labels, "
                'or give a list of numbers, such as enet_class_weight(pixel_counts) returns'
            )
        if self._weight_per_class is None:
            return None
        num_classes = pred.shape[1] if num_classes is None else num_classes
        check_per_class('class_weight', self._weight_per_class, num_classes, type(self).__name__)
        return self._weight_per_class.to(pred)


def check_per_class(name: str, values: Sequence[float], num_classes: int, owner: str) -> None:
    """Raises ``ValueError`` naming the number of classes if there are not as many ``values``."""
    if len(values) != num_classes:
        raise ValueError(
            f'{owner}: {name} has {len(values)} values, the prediction has {num_classes} classes; '
            f'give {num_classes} values, one per class'
        )


def weights_of_labels(class_weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The class weight of each label, in the shape of ``target``; 0 where the label names no class."""
    known = (target >= 0) & (target < len(class_weight))
    return F.embedding(target.clamp(0, len(class_weight) - 1), class_weight.unsqueeze(1)).squeeze(-1) * known
