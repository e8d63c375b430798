"""Cross entropy of the hard pixels of a batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from mmseg.registry import MODELS

from .base import ClassWeightedLoss
from .pixels import as_float32


@MODELS.register_module()
class OhemCrossEntropy(ClassWeightedLoss):
    """Mean cross entropy of the pixels whose class has a low predicted probability.

    A pixel is hard if the probability of its class is below ``thres``, or below that of the
    ``min_kept``-th hardest pixel of the batch. Source: Shrivastava et al. 2016, "Training Region-based
    Object Detectors with Online Hard Example Mining"; as used by PIDNet.

    Args:
        ignore_label: label of pixels that do not count.
        thres: probability, in (0, 1].
        min_kept: pixels of the batch.
        loss_weight: factor of the result.
        class_weight: one weight per class, a file that holds them, or 'enet' (see ``get_class_weight``).
        loss_name: its key in the log.
    """

    def __init__(
        self,
        ignore_label: int = 255,
        thres: float = 0.7,
        min_kept: int = 100000,
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | str | None = None,
        loss_name: str = 'loss_ohem',
    ) -> None:
        super().__init__(class_weight, loss_weight, loss_name)
        self.thresh = thres
        self.min_kept = max(1, min_kept)
        self.ignore_label = ignore_label

    def forward(self, score: torch.Tensor, target: torch.Tensor, **kwargs) -> torch.Tensor:
        """The loss of logits (N, C, H, W) for ids (N, H, W); zero with a graph if no pixel is hard."""
        score = as_float32(score)
        ce = F.cross_entropy(score, target, ignore_index=self.ignore_label, reduction='none').flatten()
        valid = (target != self.ignore_label).flatten()
        # above every probability, so that ignored pixels are sorted last
        prob = torch.exp(-ce.detach()).masked_fill(~valid, 2.0)
        lowest = prob.topk(min(self.min_kept + 1, prob.numel()), largest=False).values
        rank = (valid.sum() - 1).clamp(0, lowest.numel() - 1)
        threshold = lowest.gather(0, rank.reshape(1)).clamp(min=self.thresh)
        hard = (valid & (prob < threshold)).to(ce.dtype)
        class_weight = self.class_weight_for(score)
        if class_weight is not None:
            ce = F.cross_entropy(
                score, target, weight=class_weight, ignore_index=self.ignore_label, reduction='none'
            ).flatten()
        return self.loss_weight * (ce * hard).sum() / hard.sum().clamp(min=1)
