"""Cross entropy over classes (softmax), per class (sigmoid) and of one mask per sample."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mmseg.registry import MODELS

from .base import ClassWeightedLoss
from .pixels import as_float32, one_hot, weights_of_labels
from .reduction import REDUCTION_OVERRIDES, check_reduction, weight_reduce_loss


def cross_entropy(
    pred: torch.Tensor,
    label: torch.Tensor,
    weight: torch.Tensor | None = None,
    class_weight: torch.Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | torch.Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
) -> torch.Tensor:
    """−w_y log p_y of every pixel; value and gradient of ignored pixels are zero.

    The divisor of 'mean', unless ``avg_factor`` is given:

    - without class weights the number of pixels, or of those not ignored with ``avg_non_ignore``;
    - with class weights the sum of the weights of the labels. An ignored label outside [0, C), such as
      255, has no weight, so that this is the weighted mean of ``F.cross_entropy``. An ``ignore_index`` that
      is a class adds its weight unless ``avg_non_ignore`` is set.

    Args:
        pred: logits, (N, C, ...).
        label: ids, (N, ...).
        weight: one per pixel, (N, ...).
        class_weight: (C,).
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: replaces the divisor of 'mean'.
        ignore_index: label of pixels that do not count.
        avg_non_ignore: leave ignored pixels out of the divisor.
    """
    pred = as_float32(pred)
    loss = F.cross_entropy(pred, label, weight=class_weight, reduction='none', ignore_index=ignore_index)
    if avg_factor is None and reduction == 'mean':
        if class_weight is not None:
            label_weight = weights_of_labels(class_weight, label)
            if avg_non_ignore:
                label_weight = label_weight * (label != ignore_index)
            avg_factor = label_weight.sum()
        elif avg_non_ignore:
            avg_factor = (label != ignore_index).sum()
        else:
            avg_factor = label.numel()
    if weight is not None:
        weight = weight.float()
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


def binary_cross_entropy(
    pred: torch.Tensor,
    label: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | torch.Tensor | None = None,
    class_weight: torch.Tensor | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
    **kwargs,
) -> torch.Tensor:
    """Binary cross entropy of each class separately.

    'mean' divides by the number of elements N·C·..., or of those not ignored with ``avg_non_ignore``.

    Args:
        pred: logits, (N, C, ...); (N, 1, ...) for one foreground class with labels 0 and 1.
        label: ids (N, ...), or a 0/1 mask per class in the shape of ``pred``.
        weight: one per pixel (N, ...), or per element if ``label`` has the shape of ``pred``.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: replaces the divisor of 'mean'.
        class_weight: (C,), the weight of a class's positive pixels.
        ignore_index: label of pixels that do not count; negative labels do not count either.
        avg_non_ignore: leave ignored elements out of the divisor.

    Raises:
        ValueError: if the shapes do not fit.
    """
    pred = as_float32(pred)
    if pred.ndim == label.ndim + 1 and pred.shape[1] == 1:
        pred = pred.squeeze(1)
    per_class = pred.ndim == label.ndim + 1
    if label.shape != (pred.shape[:1] + pred.shape[2:] if per_class else pred.shape):
        raise ValueError(
            f'binary_cross_entropy: logits {tuple(pred.shape)} and labels {tuple(label.shape)} do not fit; '
            'labels are ids (N, H, W) or masks (N, C, H, W)'
        )
    valid = (label >= 0) & (label != ignore_index)
    if per_class:
        label = one_hot(label.masked_fill(~valid, -1), pred.shape[1], pred.dtype)
        valid = valid.unsqueeze(1).expand_as(pred)
        weight = None if weight is None else weight.unsqueeze(1)
    else:
        label = label.masked_fill(~valid, 0).to(pred.dtype)
    if class_weight is not None and pred.ndim > 2 and len(class_weight) == pred.shape[1]:
        class_weight = class_weight.view(-1, *[1] * (pred.ndim - 2))
    valid = valid.to(pred.dtype)
    weight = valid if weight is None else weight * valid
    if reduction == 'mean' and avg_factor is None and avg_non_ignore:
        avg_factor = valid.sum()
    loss = F.binary_cross_entropy_with_logits(pred, label, pos_weight=class_weight, reduction='none')
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


def mask_cross_entropy(
    pred: torch.Tensor,
    target: torch.Tensor,
    label: torch.Tensor,
    reduction: str = 'mean',
    avg_factor: None = None,
    class_weight: torch.Tensor | None = None,
    ignore_index: None = None,
    **kwargs,
) -> torch.Tensor:
    """Binary cross entropy of the mask of one class per sample, shape (1,).

    Source: He et al. 2017, "Mask R-CNN", section 3.

    Args:
        pred: logits, (N, C, ...).
        target: 0/1 masks, (N, ...).
        label: the class of each sample's mask, (N,).
        class_weight: broadcast against the masks.

    Raises:
        ValueError: if ``ignore_index``, ``avg_factor`` or a reduction other than 'mean' is given.
    """
    if ignore_index is not None:
        raise ValueError(
            f'mask_cross_entropy has no ignored pixels: ignore_index must be None, got {ignore_index}'
        )
    if reduction != 'mean' or avg_factor is not None:
        raise ValueError(
            f"mask_cross_entropy only takes reduction='mean' without avg_factor, got {reduction!r}, {avg_factor}"
        )
    samples = torch.arange(pred.shape[0], device=pred.device)
    logits = as_float32(pred)[samples, label]
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), weight=class_weight)[None]


@MODELS.register_module()
class CrossEntropyLoss(ClassWeightedLoss):
    """Cross entropy.

    Args:
        use_sigmoid: one binary problem per class instead of softmax over classes.
        use_mask: the mask of one class per sample; ``weight`` of the call is then each sample's class, and
            ``ignore_index`` must be None.
        reduction: 'none', 'mean' or 'sum'.
        class_weight: one weight per class, a file that holds them, or 'enet' (see ``get_class_weight``). For
            the sigmoid form they weigh the positive pixels of a class only.
        loss_weight: factor of the result.
        loss_name: its key in the log; only keys that begin with 'loss' contribute to the gradient.
        avg_non_ignore: leave ignored pixels out of the divisor of the mean (see ``cross_entropy``).

    Raises:
        ValueError: if both ``use_sigmoid`` and ``use_mask`` are set, or ``class_weight`` does not fit.
    """

    def __init__(
        self,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        avg_non_ignore: bool = False,
    ) -> None:
        super().__init__(class_weight, loss_weight, loss_name)
        if use_sigmoid and use_mask:
            raise ValueError('CrossEntropyLoss: use_sigmoid and use_mask exclude each other; set one of them')
        check_reduction(reduction, 'CrossEntropyLoss')
        self.use_sigmoid = use_sigmoid
        self.use_mask = use_mask
        self.reduction = reduction
        self.avg_non_ignore = avg_non_ignore
        if use_sigmoid:
            self.cls_criterion = binary_cross_entropy
        elif use_mask:
            self.cls_criterion = mask_cross_entropy
        else:
            self.cls_criterion = cross_entropy

    def extra_repr(self) -> str:
        return f'avg_non_ignore={self.avg_non_ignore}'

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: float | torch.Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = -100,
        **kwargs,
    ) -> torch.Tensor:
        """The loss of logits (N, C, H, W) for labels (N, H, W); arguments as in ``cross_entropy``."""
        check_reduction(reduction_override, 'CrossEntropyLoss', REDUCTION_OVERRIDES)
        cls_score = as_float32(cls_score)
        return self.loss_weight * self.cls_criterion(
            cls_score,
            label,
            weight,
            class_weight=self.class_weight_for(cls_score),
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor,
            avg_non_ignore=self.avg_non_ignore,
            ignore_index=ignore_index,
            **kwargs,
        )
