"""Lovász-Softmax and Lovász hinge: surrogates of the Jaccard index.

Source: Berman et al. 2018, "The Lovász-Softmax loss: a tractable surrogate for the optimization of the
intersection-over-union measure in neural networks".

All classes and images are sorted at once. Ignored pixels are kept, with an error below all others: they are
sorted last, where they change neither the order nor the Jaccard index of the others.
"""

from collections.abc import Sequence

import torch

from mmseg.registry import MODELS

from .base import ClassWeightedLoss
from .pixels import as_float32, dense_weight
from .reduction import REDUCTION_OVERRIDES, check_reduction, weight_reduce_loss


def lovasz_grad(gt_sorted: torch.Tensor) -> torch.Tensor:
    """Gradient of the Lovász extension of the Jaccard loss with respect to sorted errors (algorithm 1).

    The paper takes differences of the Jaccard loss J between neighbours. With I and U the intersection
    and union after a pixel, they are 1/U for a pixel of the class and I / (U (U−1)) for any other. This form
    loses no digits where J is close to 1.

    Args:
        gt_sorted: 1 for pixels of the class, 0 for others, by descending error, (..., P).

    Returns:
        (..., P).
    """
    gt_sorted = gt_sorted.float() if not gt_sorted.is_floating_point() else gt_sorted
    total = gt_sorted.sum(-1, keepdim=True)
    intersection = total - gt_sorted.cumsum(-1)
    union = total + (1 - gt_sorted).cumsum(-1)
    gain = torch.where(gt_sorted > 0, 1 / union, intersection / (union * (union - 1)).clamp(min=1))
    # without a pixel of the class, J is 1 from the first error on
    first = torch.zeros_like(gain[..., :1]).masked_fill(total == 0, 1.0)
    return torch.cat([gain[..., :1] + first, gain[..., 1:]], dim=-1)


def _lovasz_extension(errors: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Sum of errors (..., P), in descending order, times the gradient of their order; shape (...)."""
    ordered, order = errors.sort(dim=-1, descending=True)
    gradient = lovasz_grad(foreground.gather(-1, order))
    return (ordered.clamp(min=0) * gradient).sum(-1)


def lovasz_hinge_flat(
    logits: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary Lovász hinge of logits (..., P) for labels 0 and 1 of the same shape; shape (...)."""
    labels = labels.to(logits.dtype)
    errors = 1 - logits * (2 * labels - 1)
    if valid is not None:
        errors = errors.masked_fill(~valid, -torch.inf)
        labels = labels * valid
    return _lovasz_extension(errors, labels)


def lovasz_softmax_flat(
    probs: torch.Tensor,
    labels: torch.Tensor,
    classes: str | Sequence[int] = 'present',
    class_weight: torch.Tensor | None = None,
    valid: torch.Tensor | None = None,
) -> torch.Tensor:
    """Lovász-Softmax of flat pixels.

    Args:
        probs: probabilities, (..., P, C).
        labels: ids, (..., P).
        classes: 'present' averages over the classes in ``labels``, 'all' over all, a list over those in it.
        class_weight: one factor per class, (C,).
        valid: True for pixels that count, (..., P).

    Returns:
        (...); zero where no class is present.
    """
    num_classes = probs.shape[-1]
    ids = range(num_classes) if isinstance(classes, str) else list(classes)
    if num_classes == 1 and len(ids) > 1:
        raise ValueError(
            f'lovasz_softmax: one probability per pixel goes with one class, got classes={classes}'
        )
    ids = (
        torch.arange(num_classes, device=probs.device) if isinstance(classes, str) else _constant(ids, probs)
    )
    foreground = (labels.unsqueeze(-2) == ids.unsqueeze(-1)).to(probs.dtype)
    scores = probs.transpose(-1, -2)
    if num_classes > 1 and not isinstance(classes, str):
        scores = scores.index_select(-2, ids)
    errors = (foreground - scores).abs()
    if valid is not None:
        outside = ~valid.unsqueeze(-2)
        errors = errors.masked_fill(outside, -1.0)
        foreground = foreground.masked_fill(outside, 0.0)
    loss = _lovasz_extension(errors, foreground)
    if class_weight is not None:
        loss = loss * (class_weight if isinstance(classes, str) else class_weight.index_select(0, ids))
    if classes == 'present':
        present = (foreground.sum(-1) > 0).to(loss.dtype)
        return (loss * present).sum(-1) / present.sum(-1).clamp(min=1)
    return loss.mean(-1)


def _constant(ids: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Class ids as a tensor, built on the device: a copy from the host can't be captured in a CUDA graph."""
    return torch.cat([torch.full((1,), i, device=like.device, dtype=torch.long) for i in ids])


def _flat_pixels(
    labels: torch.Tensor, ignore_index: int | None, per_image: bool, weight: torch.Tensor | None
):
    """Labels and validity as (N, P), or (1, N·P) if the batch is taken as one image."""
    valid = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    if weight is not None:
        valid = valid & (dense_weight(weight, labels) > 0)
    rows = labels.shape[0] if per_image else 1
    return labels.reshape(rows, -1), valid.reshape(rows, -1)


def _reduced(loss, valid, per_image, reduction, avg_factor):
    if not per_image:
        return loss[0]
    return weight_reduce_loss(loss, None, reduction, avg_factor)


def lovasz_hinge(
    logits: torch.Tensor,
    labels: torch.Tensor,
    classes: None = None,
    per_image: bool = False,
    class_weight: torch.Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | torch.Tensor | None = None,
    ignore_index: int | None = 255,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Binary Lovász hinge.

    Args:
        logits: (N, H, W) or (N, 1, H, W).
        labels: 0 and 1, (N, H, W).
        classes, class_weight: part of the common signature, without effect for one class.
        per_image: one loss per image instead of one for the batch.
        reduction: of the losses of the images.
        avg_factor: replaces the divisor of 'mean'.
        ignore_index: label of pixels that do not count.
        weight: per pixel; those with weight 0 do not count.
    """
    labels, valid = _flat_pixels(labels, ignore_index, per_image, weight)
    loss = lovasz_hinge_flat(as_float32(logits).reshape(labels.shape), labels, valid)
    return _reduced(loss, valid, per_image, reduction, avg_factor)


def lovasz_softmax(
    probs: torch.Tensor,
    labels: torch.Tensor,
    classes: str | Sequence[int] = 'present',
    per_image: bool = False,
    class_weight: torch.Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | torch.Tensor | None = None,
    ignore_index: int | None = 255,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Lovász-Softmax.

    Args:
        probs: probabilities, (N, C, H, W), or (N, H, W) of one class.
        labels: ids, (N, H, W).
        classes: 'present', 'all' or a list of ids (see ``lovasz_softmax_flat``).
        per_image: one loss per image instead of one for the batch.
        class_weight: one factor per class, (C,).
        reduction: of the losses of the images.
        avg_factor: replaces the divisor of 'mean'.
        ignore_index: label of pixels that do not count.
        weight: per pixel; those with weight 0 do not count.
    """
    if probs.ndim == 3:
        probs = probs.unsqueeze(1)
    probs = as_float32(probs)
    labels, valid = _flat_pixels(labels, ignore_index, per_image, weight)
    flat = probs.flatten(2).transpose(1, 2).reshape(*labels.shape, probs.shape[1])
    loss = lovasz_softmax_flat(flat, labels, classes, class_weight, valid)
    return _reduced(loss, valid, per_image, reduction, avg_factor)


@MODELS.register_module()
class LovaszLoss(ClassWeightedLoss):
    """Lovász-Softmax, or the Lovász hinge for one class.

    Args:
        loss_type: 'multi_class' (softmax) or 'binary' (hinge).
        classes: 'present', 'all' or a list of ids: which classes are averaged.
        per_image: one loss per image instead of one for the batch.
        reduction: 'none', 'mean' or 'sum' over images; must be 'none' unless ``per_image`` is set.
        class_weight: one factor per class, a file that holds them, or 'enet' (see ``get_class_weight``).
        loss_weight: factor of the result.
        loss_name: its key in the log.

    Raises:
        ValueError: if an argument has another value.
    """

    def __init__(
        self,
        loss_type: str = 'multi_class',
        classes: str | Sequence[int] = 'present',
        per_image: bool = False,
        reduction: str = 'mean',
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_lovasz',
    ) -> None:
        super().__init__(class_weight, loss_weight, loss_name)
        if loss_type not in ('binary', 'multi_class'):
            raise ValueError(f"LovaszLoss: loss_type must be 'binary' or 'multi_class', got {loss_type!r}")
        valid = classes in ('all', 'present') if isinstance(classes, str) else _are_ids(classes)
        if not valid:
            raise ValueError(
                f"LovaszLoss: classes must be 'all', 'present' or a list of ids, got {classes!r}"
            )
        check_reduction(reduction, 'LovaszLoss')
        if not per_image and reduction != 'none':
            raise ValueError(
                f"LovaszLoss: reduction must be 'none' when per_image is False, got {reduction!r}: "
                "the batch gives one loss. Set reduction='none' or per_image=True"
            )
        self.loss_type = loss_type
        self.classes = classes
        self.per_image = per_image
        self.reduction = reduction

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: float | torch.Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = 255,
        **kwargs,
    ) -> torch.Tensor:
        """The loss of logits (N, C, H, W) for ids (N, H, W); pixels of ``weight`` 0 do not count."""
        check_reduction(reduction_override, 'LovaszLoss', REDUCTION_OVERRIDES)
        cls_score = as_float32(cls_score)
        common = dict(
            per_image=self.per_image,
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor,
            ignore_index=ignore_index,
            weight=weight,
        )
        if self.loss_type == 'binary':
            return self.loss_weight * lovasz_hinge(cls_score, label, **common)
        return self.loss_weight * lovasz_softmax(
            cls_score.softmax(dim=1),
            label,
            classes=self.classes,
            class_weight=self.class_weight_for(cls_score),
            **common,
        )


def _are_ids(classes: Sequence[int]) -> bool:
    return isinstance(classes, list | tuple) and bool(classes) and all(isinstance(c, int) for c in classes)
