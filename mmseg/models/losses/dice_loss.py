"""Dice loss: one minus the overlap of prediction and ground truth."""

import torch

from mmseg.registry import MODELS

from .base import SegmentationLoss
from .pixels import as_float32, one_hot
from .reduction import REDUCTION_OVERRIDES, check_reduction, weight_reduce_loss


def dice_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    eps: float = 1e-3,
    reduction: str = 'mean',
    naive_dice: bool = False,
    avg_factor: float | torch.Tensor | None = None,
    ignore_index: int | None = 255,
) -> torch.Tensor:
    """1 − Dice of each sample, over all its classes and pixels at once.

    Sources: Milletari et al. 2016, "V-Net" (squares in the denominator); with ``naive_dice`` the plain
    Sørensen-Dice coefficient.

    Args:
        pred: probabilities, (N, C, ...).
        target: 0/1 masks, (N, C, ...).
        weight: one per sample (N,), or one per pixel (N, ...).
        eps: keeps the quotient finite for empty masks.
        reduction: 'none' gives (N,).
        naive_dice: no squares.
        avg_factor: replaces the divisor of 'mean'.
        ignore_index: a class left out, if it is one in [0, C).

    Raises:
        ValueError: if no class is left, or ``weight`` is of another shape.
    """
    num_classes = pred.shape[1]
    if weight is not None and tuple(weight.shape) not in ((len(pred),), (len(pred), *pred.shape[2:])):
        raise ValueError(
            f'dice_loss: weight has shape {tuple(weight.shape)}, expected {(len(pred),)}, one per sample, or '
            f'{(len(pred), *pred.shape[2:])}, one per pixel; DiceLoss has no weights of classes'
        )
    if ignore_index is not None and 0 <= ignore_index < num_classes:
        if num_classes == 1:
            raise ValueError(f'dice_loss: ignore_index={ignore_index} leaves no class of 1; give another one')
        pred = torch.cat([pred[:, :ignore_index], pred[:, ignore_index + 1 :]], dim=1)
        target = torch.cat([target[:, :ignore_index], target[:, ignore_index + 1 :]], dim=1)
    target = target.to(pred.dtype)
    squares_p, squares_t = (pred, target) if naive_dice else (pred * pred, target * target)
    overlap = pred * target
    if weight is not None and weight.ndim > 1:
        per_pixel = weight.reshape(pred.shape[0], 1, *pred.shape[2:]).to(pred.dtype)
        overlap, squares_p, squares_t = (part * per_pixel for part in (overlap, squares_p, squares_t))
        weight = None
    a, b, c = (part.flatten(1).sum(1) for part in (overlap, squares_p, squares_t))
    if naive_dice:
        loss = 1 - (2 * a + eps) / (b + c + eps)
    else:
        loss = 1 - 2 * a / (b + c + 2 * eps)
    return weight_reduce_loss(loss, weight, reduction, avg_factor)


@MODELS.register_module()
class DiceLoss(SegmentationLoss):
    """Dice loss.

    A pixel whose label is no class is in no mask, but its prediction still counts in the denominator, as in
    mmsegmentation. Give ``weight`` per pixel to leave it out.

    Args:
        use_sigmoid: sigmoid per class instead of softmax over classes.
        activate: False if the prediction holds probabilities already.
        reduction: 'none', 'mean' or 'sum' over samples.
        naive_dice: no squares in the denominator.
        loss_weight: factor of the result.
        ignore_index: a class left out of the loss; 255 leaves out none.
        eps: keeps the quotient finite for empty masks.
        loss_name: its key in the log.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        activate: bool = True,
        reduction: str = 'mean',
        naive_dice: bool = False,
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        eps: float = 1e-3,
        loss_name: str = 'loss_dice',
    ) -> None:
        super().__init__(loss_weight, loss_name)
        check_reduction(reduction, 'DiceLoss')
        self.use_sigmoid = use_sigmoid
        self.activate = activate
        self.reduction = reduction
        self.naive_dice = naive_dice
        self.ignore_index = ignore_index
        self.eps = eps

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
        """The loss of logits (N, C, H, W) for ids (N, H, W) or 0/1 masks (N, C, H, W).

        ``ignore_index`` is part of the common signature and has no effect; the constructor's is used.
        """
        check_reduction(reduction_override, 'DiceLoss', REDUCTION_OVERRIDES)
        pred = as_float32(pred)
        if pred.shape != target.shape:
            target = one_hot(target.clamp(min=0), pred.shape[1], pred.dtype)
        if self.activate:
            if self.use_sigmoid:
                pred = pred.sigmoid()
            elif pred.shape[1] != 1:  # softmax over one class is 1 everywhere
                pred = pred.softmax(dim=1)
        return self.loss_weight * dice_loss(
            pred,
            target,
            weight,
            eps=self.eps,
            reduction=reduction_override or self.reduction,
            naive_dice=self.naive_dice,
            avg_factor=avg_factor,
            ignore_index=self.ignore_index,
        )
