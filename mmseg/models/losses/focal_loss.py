"""Focal loss, over classes (softmax) and per class (sigmoid)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mmseg.registry import MODELS

from .base import ClassWeightedLoss
from .class_weight import check_per_class
from .pixels import as_float32, dense_weight, one_hot, weights_of_labels
from .reduction import REDUCTION_OVERRIDES, check_reduction, weight_reduce_loss


def modulation(one_minus_p: torch.Tensor, gamma: float) -> torch.Tensor:
    """(1−p)^γ with a finite gradient for every γ >= 0.

    For γ < 1 the derivative is infinite at p = 1, and its product with the loss, which is zero there, is nan.
    Clamping the base to the smallest normal number gives the correct limit, zero.
    """
    return one_minus_p.clamp(min=torch.finfo(one_minus_p.dtype).tiny).pow(gamma)


def softmax_focal_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    gamma: float = 2.0,
    alpha: float | torch.Tensor = 0.5,
    ignore_index: int = 255,
) -> torch.Tensor:
    """−α_y (1−p_y)^γ log p_y of every pixel, p the softmax over classes.

    Args:
        pred: logits, (N, C, ...), float32 or float64.
        target: ids, (N, ...).
        gamma: γ >= 0.
        alpha: one factor for every class, or a tensor (C,) with one per class.
        ignore_index: value and gradient of pixels of this label are exactly zero.

    Returns:
        (N, ...).
    """
    # one fused pass for log p_y, zero with a zero gradient where a pixel is ignored
    ce = F.cross_entropy(pred, target, reduction='none', ignore_index=ignore_index)
    if isinstance(alpha, torch.Tensor):
        alpha = weights_of_labels(alpha, target)
    # 1 − exp(−ce) by expm1, which is exact for p_y close to 1
    return alpha * modulation(-torch.expm1(-ce), gamma) * ce


def sigmoid_focal_loss(
    pred: torch.Tensor, target: torch.Tensor, gamma: float = 2.0, alpha: float | torch.Tensor = 0.5
) -> torch.Tensor:
    """α_t (1−p_t)^γ BCE of every element, α_t = α where the target is 1 and 1−α where it is 0.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.

    Args:
        pred: logits, (N, C, ...), float32 or float64.
        target: 0/1 masks of the same shape.
        gamma: γ >= 0.
        alpha: a number, or a tensor that broadcasts to ``pred``.

    Returns:
        (N, C, ...).
    """
    one_minus_pt = torch.sigmoid(-pred) * target + torch.sigmoid(pred) * (1 - target)
    alpha_t = alpha * target + (1 - alpha) * (1 - target)
    bce = F.binary_cross_entropy_with_logits(pred, target, reduction='none')
    return alpha_t * modulation(one_minus_pt, gamma) * bce


@MODELS.register_module()
class FocalLoss(ClassWeightedLoss):
    """Focal loss: cross entropy in which well classified pixels count less.

    Softmax form, ``use_sigmoid=False``: FL = −α_y (1−p_y)^γ log p_y, averaged over the pixels that are not
    ignored. Sigmoid form, ``use_sigmoid=True``: each class is a binary problem,
    FL = −α_t (1−p_t)^γ log p_t with α_t = α on the class and 1−α off it, averaged over the classes of the
    pixels that are not ignored. Source: Lin et al. 2017, "Focal Loss for Dense Object Detection".

    Args:
        use_sigmoid: which form.
        gamma: γ >= 0; 0 gives weighted cross entropy.
        alpha: a number, or one per class. In the softmax form the weight of a pixel's class, in the sigmoid
            form the weight of a class's positive pixels, in [0, 1].
        reduction: 'none', 'mean' or 'sum'. 'none' gives (N, H, W) in the softmax form and (N, C, H, W) in the
            sigmoid form.
        class_weight: one factor per class, a file that holds them, or 'enet' (see ``get_class_weight``): in
            the softmax form of the pixel's class, in the sigmoid form of every element of that class. The
            divisor of the mean does not change with it.
        loss_weight: factor of the result.
        loss_name: its key in the log.

    Raises:
        ValueError: if ``gamma``, ``alpha`` or ``reduction`` is out of range.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 0.5,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_focal',
    ) -> None:
        super().__init__(class_weight, loss_weight, loss_name)
        check_reduction(reduction, 'FocalLoss')
        self.use_sigmoid = use_sigmoid
        self.gamma = _checked_gamma(gamma)
        self.alpha = _checked_alpha(alpha, use_sigmoid)
        self.reduction = reduction
        per_class = torch.tensor(self.alpha) if isinstance(self.alpha, list) else None
        self.register_buffer('_alpha_per_class', per_class, persistent=False)

    def extra_repr(self) -> str:
        return f'use_sigmoid={self.use_sigmoid}, gamma={self.gamma}, alpha={self.alpha}'

    def forward(
        self,
        pred: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: float | torch.Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
        **kwargs,
    ) -> torch.Tensor:
        """The loss.

        Args:
            pred: logits, (N, C, ...), in any floating dtype.
            target: ids, (N, ...); the sigmoid form also takes 0/1 masks of the shape of ``pred``.
            weight: one per pixel, (N, ...); the sigmoid form also takes one per element.
            avg_factor: replaces the divisor of 'mean'.
            reduction_override: replaces ``reduction``.
            ignore_index: label of pixels whose value and gradient are exactly zero.

        Returns:
            A scalar, or one loss per element with reduction 'none'; zero with a graph if all is ignored.

        Raises:
            ValueError: if ``target`` does not fit ``pred``, or ``alpha`` the number of classes.
        """
        check_reduction(reduction_override, 'FocalLoss', REDUCTION_OVERRIDES)
        reduction = reduction_override or self.reduction
        pred = as_float32(pred)
        if self.use_sigmoid:
            loss, counted = self._sigmoid_form(pred, target, weight, ignore_index)
        else:
            loss, counted = self._softmax_form(pred, target, weight, ignore_index)
        if reduction == 'mean' and avg_factor is None:
            avg_factor = counted
        return self.loss_weight * weight_reduce_loss(loss, None, reduction, avg_factor)

    def _softmax_form(self, pred, target, weight, ignore_index):
        """The loss per pixel, and the number of pixels that count."""
        if pred.shape[:1] + pred.shape[2:] != target.shape:
            raise ValueError(
                f'FocalLoss(use_sigmoid=False): labels of shape {tuple(target.shape)} do not fit logits of '
                f'shape {tuple(pred.shape)}; give ids of shape {tuple(pred.shape[:1] + pred.shape[2:])}'
            )
        target = target.long()
        loss = softmax_focal_loss(pred, target, self.gamma, self._alpha_for(pred), ignore_index)
        class_weight = self.class_weight_for(pred)
        if class_weight is not None:
            loss = loss * weights_of_labels(class_weight, target)
        if weight is not None:
            loss = loss * dense_weight(weight, target)
        return loss, (target != ignore_index).sum()

    def _sigmoid_form(self, pred, target, weight, ignore_index):
        """The loss per element, and the number of elements that count."""
        num_classes = pred.shape[1]
        per_class = (num_classes, *[1] * (pred.ndim - 2))
        if target.shape == pred.shape:
            valid = None
            counted = pred.numel()
            mask = target.to(pred.dtype)
        elif pred.shape[:1] + pred.shape[2:] == target.shape:
            valid = (target != ignore_index).unsqueeze(1)
            counted = valid.sum() * num_classes
            # a single channel is the class of label 1
            shifted = target - 1 if num_classes == 1 else target
            mask = one_hot(shifted, num_classes, pred.dtype)
        else:
            raise ValueError(
                f'FocalLoss(use_sigmoid=True): labels of shape {tuple(target.shape)} do not fit logits of shape '
                f'{tuple(pred.shape)}; give ids without the class dimension, or masks of the same shape'
            )
        alpha = self._alpha_for(pred)
        if isinstance(alpha, torch.Tensor):
            alpha = alpha.view(per_class)
        if valid is not None:
            pred = pred.masked_fill(~valid, 0.0)
        loss = sigmoid_focal_loss(pred, mask, self.gamma, alpha)
        class_weight = self.class_weight_for(pred)
        if class_weight is not None:
            loss = loss * class_weight.view(per_class)
        if weight is not None:
            if weight.numel() == loss.numel():
                loss = loss * weight.reshape(loss.shape).float()
            else:
                loss = loss * dense_weight(weight, pred[:, 0]).unsqueeze(1)
        return (loss if valid is None else loss * valid), counted

    def _alpha_for(self, pred: torch.Tensor) -> float | torch.Tensor:
        if self._alpha_per_class is None:
            return self.alpha
        check_per_class('alpha', self._alpha_per_class, pred.shape[1], 'FocalLoss')
        return self._alpha_per_class.to(pred)


def _checked_gamma(gamma: float) -> float:
    if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not 0 <= gamma < float('inf'):
        raise ValueError(f'FocalLoss: gamma must be a finite number >= 0, such as 2.0; got {gamma!r}')
    return float(gamma)


def _checked_alpha(alpha: float | Sequence[float], use_sigmoid: bool) -> float | list[float]:
    values = list(alpha) if isinstance(alpha, Sequence) and not isinstance(alpha, str) else [alpha]
    highest = 1 if use_sigmoid else float('inf')
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= highest or value == float('inf'):
            bound = 'in [0, 1]' if use_sigmoid else '>= 0'
            raise ValueError(
                f'FocalLoss: alpha must be a finite number {bound}, or one per class; got {alpha!r}'
            )
    if not values:
        raise ValueError('FocalLoss: alpha is empty; give a number, or one per class')
    values = [float(v) for v in values]
    return values if isinstance(alpha, Sequence) else values[0]
