"""Online hard example mining over the pixels of a batch."""

import torch
import torch.nn as nn

from mmseg.registry import TASK_UTILS

from .base_pixel_sampler import BasePixelSampler


@TASK_UTILS.register_module()
class OHEMPixelSampler(BasePixelSampler):
    """Selects the hard pixels of a batch: they get weight 1, all others and ignored ones 0.

    Source: Shrivastava et al. 2016, "Training Region-based Object Detectors with Online Hard Example
    Mining", applied to pixels.

    Args:
        context: the decode head; ``context.loss_decode`` and ``context.ignore_index`` are read when sampling.
        thresh: a pixel is hard when its predicted probability of the true class is below this value, in
            (0, 1]; at least ``min_kept`` pixels per image are kept on average over the batch. ``None``
            keeps exactly the ``min_kept`` pixels per image with the largest losses.
        min_kept: pixels per image; the budget N * min_kept is shared by the whole batch.

    Raises:
        ValueError: if ``min_kept`` is below 1 or ``thresh`` is outside (0, 1].
    """

    def __init__(self, context: nn.Module, thresh: float | None = None, min_kept: int = 100000) -> None:
        super().__init__()
        if min_kept < 1:
            raise ValueError(f'OHEMPixelSampler: min_kept must be at least 1 pixel per image, got {min_kept}')
        if thresh is not None and not 0 < thresh <= 1:
            raise ValueError(f'OHEMPixelSampler: thresh is a probability in (0, 1] or None, got {thresh}')
        self.context = context
        self.thresh = thresh
        self.min_kept = min_kept

    @torch.no_grad()
    def sample(self, seg_logit: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Weights of the pixels, 0 or 1.

        Args:
            seg_logit: scores before softmax, (N, C, H, W).
            seg_label: ids, (N, 1, H, W) or (N, H, W).

        Returns:
            (N, H, W), in the dtype of ``seg_logit``.
        """
        if seg_label.ndim == 4:
            seg_label = seg_label.squeeze(1)
        if seg_logit.shape[2:] != seg_label.shape[1:]:
            raise ValueError(
                f'OHEMPixelSampler: logits {tuple(seg_logit.shape)} and labels {tuple(seg_label.shape)} '
                'differ in height or width; resize the logits to the labels first'
            )
        seg_label = seg_label.long()
        valid = seg_label != self.context.ignore_index
        budget = self.min_kept * seg_label.shape[0]
        if self.thresh is None:
            selected = self._largest_losses(seg_logit, seg_label, valid, budget)
        else:
            selected = self._below_threshold(seg_logit, seg_label, valid, budget)
        return selected.to(seg_logit.dtype)

    def _below_threshold(
        self, seg_logit: torch.Tensor, seg_label: torch.Tensor, valid: torch.Tensor, budget: int
    ) -> torch.Tensor:
        """Valid pixels whose true class gets less than max(thresh, the budget-th smallest probability)."""
        target = seg_label.masked_fill(~valid, 0).unsqueeze(1)
        prob = seg_logit.float().softmax(dim=1).gather(1, target).squeeze(1)
        # Above every probability, so that ignored pixels come last in the ascending order.
        prob = prob.masked_fill(~valid, 2.0)
        ascending = prob.flatten().topk(min(budget + 1, prob.numel()), largest=False).values
        rank = (valid.sum() - 1).clamp(0, ascending.numel() - 1)
        threshold = ascending.gather(0, rank.reshape(1)).clamp(min=self.thresh)
        return (prob < threshold) & valid

    def _largest_losses(
        self, seg_logit: torch.Tensor, seg_label: torch.Tensor, valid: torch.Tensor, budget: int
    ) -> torch.Tensor:
        """The ``budget`` valid pixels with the largest sum of the head's losses."""
        losses = self.context.loss_decode
        losses = losses if isinstance(losses, nn.ModuleList | list | tuple) else [losses]
        total = 0.0
        for loss in losses:
            each = loss(
                seg_logit,
                seg_label,
                weight=None,
                ignore_index=self.context.ignore_index,
                reduction_override='none',
            )
            if each.ndim == 4:  # one loss per class, as sigmoid forms give
                each = each.sum(dim=1)
            if each.shape != seg_label.shape:
                name = type(loss).__name__
                raise ValueError(
                    f'OHEMPixelSampler: {name} has no loss per pixel (got {tuple(each.shape)} for labels '
                    f'{tuple(seg_label.shape)}); set thresh, or use a loss per pixel such as CrossEntropyLoss'
                )
            total = total + each
        total = total.masked_fill(~valid, -torch.inf).flatten()
        hardest = total.topk(min(budget, total.numel()), sorted=False).indices
        selected = torch.zeros_like(total, dtype=torch.bool).scatter(0, hardest, True)
        return selected.view_as(valid) & valid
