"""Binary cross entropy for edge maps, with equal weight for edges and other pixels."""

import torch
import torch.nn.functional as F

from mmseg.registry import MODELS

from .base import SegmentationLoss
from .pixels import as_float32


@MODELS.register_module()
class BoundaryLoss(SegmentationLoss):
    """Class-balanced binary cross entropy of a boundary branch.

    Source: Xu et al. 2023, "PIDNet", section 3.4, equation 1.

    Args:
        loss_weight: factor of the result.
        loss_name: its key in the log.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_boundary') -> None:
        super().__init__(loss_weight, loss_name)

    def forward(self, bd_pre: torch.Tensor, bd_gt: torch.Tensor) -> torch.Tensor:
        """The mean over all pixels for logits (N, 1, H, W) and edge maps (N, H, W) of 0, 1 and others, ignored."""
        logits = as_float32(bd_pre).flatten()
        target = bd_gt.flatten().to(logits.dtype)
        edge, rest = (target == 1).to(logits.dtype), (target == 0).to(logits.dtype)
        count = (edge.sum() + rest.sum()).clamp(min=1)
        weight = edge * (rest.sum() / count) + rest * (edge.sum() / count)
        return self.loss_weight * F.binary_cross_entropy_with_logits(logits, edge, weight)
