"""Tversky loss and its focal form."""

from collections.abc import Sequence

import torch

from mmseg.registry import MODELS

from .base import ClassWeightedLoss
from .pixels import as_float32, dense_weight, one_hot


def tversky_distance(
    pred: torch.Tensor,
    target: torch.Tensor,
    mask: torch.Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
) -> torch.Tensor:
    """1 − Tversky index, (N, C): (αFP + βFN) / (TP + αFP + βFN + smooth).

    Source: Salehi et al. 2017, "Tversky loss function for image segmentation using 3D fully convolutional
    deep networks", equation 3. Written as one quotient, since 1 minus a quotient close to 1 loses digits.

    Args:
        pred: probabilities, (N, C, ...).
        target: 0/1 masks, (N, C, ...).
        mask: weight of each pixel, 0 where it does not count, (N, ...).
        alpha: weight of false positives.
        beta: weight of false negatives.
        smooth: keeps the quotient finite for empty masks.
    """
    mask = mask.unsqueeze(1)
    tp = (pred * target * mask).flatten(2).sum(2)
    fp = (pred * (1 - target) * mask).flatten(2).sum(2)
    fn = ((1 - pred) * target * mask).flatten(2).sum(2)
    missed = alpha * fp + beta * fn
    return missed / (tp + missed + smooth)


def tversky_loss(
    pred: torch.Tensor,
    target: torch.Tensor,
    valid_mask: torch.Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1,
    class_weight: torch.Tensor | None = None,
    ignore_index: int | None = 255,
    exponent: float = 1.0,
) -> torch.Tensor:
    """Sum over classes of w_c (1 − TI_c)^exponent, divided by the number of classes; mean over samples.

    Args:
        pred: probabilities, (N, C, ...).
        target: 0/1 masks, (N, C, ...).
        valid_mask: weight of each pixel, (N, ...).
        alpha: weight of false positives.
        beta: weight of false negatives.
        smooth: keeps the quotient finite for empty masks.
        class_weight: (C,).
        ignore_index: a class left out of the sum, if it is one in [0, C); the divisor stays C.
        exponent: 1 for the Tversky loss.
    """
    loss = tversky_distance(pred, target, valid_mask, alpha, beta, smooth)
    if exponent != 1:
        # an exponent below 1 has an infinite slope at zero; the bound is float32's precision
        loss = loss.clamp(min=torch.finfo(torch.float32).eps).pow(exponent)
    loss = loss.mean(dim=0)
    if class_weight is not None:
        loss = loss * class_weight
    total = loss.sum()
    if ignore_index is not None and 0 <= ignore_index < loss.numel():
        total = total - loss[ignore_index]
    return total / loss.numel()


@MODELS.register_module()
class TverskyLoss(ClassWeightedLoss):
    """Tversky loss: Dice with separate weights for false positives and false negatives.

    Source: Salehi et al. 2017, "Tversky loss function for image segmentation using 3D fully convolutional
    deep networks".

    Args:
        smooth: keeps the quotient finite for empty masks.
        class_weight: one factor per class, a file that holds them, or 'enet' (see ``get_class_weight``).
        loss_weight: factor of the result.
        ignore_index: label of pixels that do not count.
        alpha: weight of false positives.
        beta: weight of false negatives; above ``alpha`` it favours recall.
        loss_name: its key in the log.

    Raises:
        ValueError: if ``alpha`` + ``beta`` is not 1.
    """

    exponent = 1.0

    def __init__(
        self,
        smooth: float = 1,
        class_weight: Sequence[float] | str | None = None,
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        alpha: float = 0.3,
        beta: float = 0.7,
        loss_name: str = 'loss_tversky',
    ) -> None:
        super().__init__(class_weight, loss_weight, loss_name)
        if abs(alpha + beta - 1.0) > 1e-9:
            raise ValueError(
                f'{type(self).__name__}: alpha and beta must sum to 1, got {alpha} + {beta}; '
                'they share one weight between false positives and false negatives'
            )
        self.smooth = smooth
        self.ignore_index = ignore_index
        self.alpha = alpha
        self.beta = beta

    def forward(
        self, pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        """The loss of logits (N, C, H, W) for ids (N, H, W).

        ``weight`` holds one weight per pixel, (N, H, W), as a pixel sampler gives. Pixels are ignored by the
        ``ignore_index`` of the constructor; further arguments of the common signature have no effect.
        """
        prob = as_float32(pred).softmax(dim=1)
        mask = (target != self.ignore_index).to(prob.dtype)
        if weight is not None:
            mask = mask * dense_weight(weight, target)
        return self.loss_weight * tversky_loss(
            prob,
            one_hot(target, prob.shape[1], prob.dtype),
            mask,
            alpha=self.alpha,
            beta=self.beta,
            smooth=self.smooth,
            class_weight=self.class_weight_for(prob),
            ignore_index=self.ignore_index,
            exponent=self.exponent,
        )


@MODELS.register_module()
class FocalTverskyLoss(TverskyLoss):
    """Focal Tversky loss: (1 − TI_c)^(1/γ), which increases the gradient of classes with a low index.

    Source: Abraham & Khan 2019, "A Novel Focal Tversky Loss Function with Improved Attention U-Net for
    Lesion Segmentation", equation 4, γ = 4/3. The paper's α weighs false negatives (0.7); here ``alpha``
    weighs false positives and ``beta`` false negatives, as in ``TverskyLoss``. The mean over classes replaces
    the paper's sum.

    Args:
        gamma: γ, in [1, 3] in the paper; 1 gives the Tversky loss.
        loss_name: its key in the log.
        kwargs: those of ``TverskyLoss``.

    Raises:
        ValueError: if ``gamma`` is not above 0, or ``alpha`` + ``beta`` is not 1.
    """

    def __init__(self, gamma: float = 4 / 3, loss_name: str = 'loss_focal_tversky', **kwargs) -> None:
        super().__init__(loss_name=loss_name, **kwargs)
        if not gamma > 0:
            raise ValueError(f'FocalTverskyLoss: gamma must be above 0, such as 4/3; got {gamma}')
        self.gamma = gamma
        self.exponent = 1 / gamma
