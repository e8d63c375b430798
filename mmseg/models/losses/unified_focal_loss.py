"""Unified focal loss: focal cross entropy plus focal Tversky under three shared parameters."""

import torch
import torch.nn.functional as F

from mmseg.registry import MODELS

from .base import SegmentationLoss
from .focal_loss import modulation
from .pixels import as_float32, dense_weight, one_hot
from .tversky_loss import tversky_distance


@MODELS.register_module()
class UnifiedFocalLoss(SegmentationLoss):
    """λ · modified focal loss + (1−λ) · modified focal Tversky loss.

    Class 0 is the common class, all others are rare. With p the softmax probability of a pixel's class:

    - focal part, mean over pixels: −δ_y (1−p)^γ log p, δ_y = δ for rare classes and 1−δ for class 0;
      in the asymmetric form the term of rare classes is −δ log p;
    - Tversky part, mean over samples and classes: (1−TI_c)^(1−γ) with δ on false negatives and 1−δ on
      false positives; in the asymmetric form the term of class 0 is 1−TI_0.

    Source: Yeung et al. 2022, "Unified Focal loss: Generalising Dice and cross entropy-based losses to
    handle class imbalanced medical image segmentation"; exponents as in the authors' published code.

    Args:
        weight: λ in [0, 1].
        delta: δ in (0, 1).
        gamma: γ in [0, 1).
        asymmetric: use the asymmetric form, which the paper recommends.
        smooth: keeps the Tversky index finite for classes that are absent.
        loss_weight: factor of the result.
        ignore_index: label of pixels that do not count.
        loss_name: its key in the log.

    Raises:
        ValueError: if a parameter is out of its range.
    """

    def __init__(
        self,
        weight: float = 0.5,
        delta: float = 0.6,
        gamma: float = 0.5,
        asymmetric: bool = True,
        smooth: float = 1.0,
        loss_weight: float = 1.0,
        ignore_index: int = 255,
        loss_name: str = 'loss_unified_focal',
    ) -> None:
        super().__init__(loss_weight, loss_name)
        for name, value, ok, bound in (
            ('weight', weight, 0 <= weight <= 1, '[0, 1]'),
            ('delta', delta, 0 < delta < 1, '(0, 1)'),
            ('gamma', gamma, 0 <= gamma < 1, '[0, 1)'),
        ):
            if not ok:
                raise ValueError(f'UnifiedFocalLoss: {name} must be in {bound}, got {value}')
        self.weight = weight
        self.delta = delta
        self.gamma = gamma
        self.asymmetric = asymmetric
        self.smooth = smooth
        self.ignore_index = ignore_index

    def forward(
        self, pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        """The loss of logits (N, C, H, W) for ids (N, H, W); ``weight`` is one per pixel, (N, H, W)."""
        pred = as_float32(pred)
        mask = (target != self.ignore_index).to(pred.dtype)
        count = mask.sum().clamp(min=1)
        if weight is not None:
            mask = mask * dense_weight(weight, target)
        focal = (self._focal(pred, target) * mask).sum() / count
        tversky = self._focal_tversky(pred, target, mask)
        return self.loss_weight * (self.weight * focal + (1 - self.weight) * tversky)

    def _focal(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The focal part per pixel, (N, H, W)."""
        ce = F.cross_entropy(pred, target, reduction='none', ignore_index=self.ignore_index)
        damped = modulation(-torch.expm1(-ce), self.gamma) * ce
        rare = self.delta * (ce if self.asymmetric else damped)
        return torch.where(target == 0, (1 - self.delta) * damped, rare)

    def _focal_tversky(self, pred: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        prob = pred.softmax(dim=1)
        masks = one_hot(target, pred.shape[1], pred.dtype)
        distance = tversky_distance(
            prob, masks, mask, alpha=1 - self.delta, beta=self.delta, smooth=self.smooth
        )
        enhanced = distance.clamp(min=torch.finfo(torch.float32).eps).pow(1 - self.gamma)
        if self.asymmetric:
            enhanced = torch.cat([distance[:, :1], enhanced[:, 1:]], dim=1)
        return enhanced.mean()
