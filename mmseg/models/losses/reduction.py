"""From one loss per element to what a config's ``reduction`` asks for."""

import functools
from collections.abc import Callable, Sequence

import torch

REDUCTIONS = ('none', 'mean', 'sum')
#: Values of ``reduction_override`` in a call; None keeps the loss's own.
REDUCTION_OVERRIDES = (None, *REDUCTIONS)


def check_reduction(reduction: str | None, owner: str, allowed: Sequence[str | None] = REDUCTIONS) -> None:
    """Raise ``ValueError`` naming ``owner`` if ``reduction`` is not one of ``allowed``."""
    if reduction not in allowed:
        raise ValueError(f'{owner}: reduction must be one of {list(allowed)}, got {reduction!r}')


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
    """Multiply a loss by its weights and reduce it.

    Args:
        loss: one loss per element, any shape.
        weight: of the same number of dimensions; dimension 1 may be 1 and is then broadcast.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: divisor of 'mean', instead of the number of elements. No effect with 'none'.

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
        raise ValueError('avg_factor can not be used with reduction="sum", which has no divisor')
    check_reduction(reduction, 'weight_reduce_loss')
    if reduction == 'none':
        return loss
    # with the epsilon, a batch of ignored pixels only gives 0 / eps = 0 instead of nan
    return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)


def weighted_loss(loss_func: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Add the arguments of ``weight_reduce_loss`` to an element-wise ``loss_func(pred, target, **kwargs)``.

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
