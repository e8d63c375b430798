"""Top-k accuracy of pixels."""

import torch
import torch.nn as nn


def accuracy(
    pred: torch.Tensor,
    target: torch.Tensor,
    topk: int | tuple[int, ...] = 1,
    thresh: float | None = None,
    ignore_index: int | None = None,
) -> torch.Tensor | list[torch.Tensor]:
    """Top-k accuracy in percent, over the pixels that are not ignored; 100 if there are none.

    Args:
        pred: scores, (N, C, ...).
        target: ids, (N, ...).
        topk: k, or several.
        thresh: a score that is not above it never counts as right.
        ignore_index: label of pixels that do not count.

    Returns:
        A tensor of shape (1,), or a list of them if ``topk`` is a tuple; for an empty batch, zeros without
        a dimension.

    Raises:
        ValueError: if the shapes do not fit, or k is above the number of classes.
    """
    ks = (topk,) if isinstance(topk, int) else tuple(topk)
    if pred.shape[0] == 0:
        results = [pred.new_tensor(0.0) for _ in ks]
        return results[0] if isinstance(topk, int) else results
    if pred.shape[:1] + pred.shape[2:] != target.shape:
        raise ValueError(f'accuracy: scores {tuple(pred.shape)} and labels {tuple(target.shape)} do not fit')
    if max(ks) > pred.shape[1]:
        raise ValueError(f'accuracy: topk={max(ks)} is above the number of classes, {pred.shape[1]}')
    # max instead of topk: topk takes a quarter of the GPU time of a small model's training step
    values, ids = pred.max(dim=1, keepdim=True) if max(ks) == 1 else pred.topk(max(ks), dim=1)
    correct = ids == target.unsqueeze(1)
    if thresh is not None:
        correct = correct & (values > thresh)
    total = target.numel()
    if ignore_index is not None:
        valid = target != ignore_index
        correct = correct & valid.unsqueeze(1)
        total = valid.sum()
    eps = torch.finfo(torch.float32).eps
    # Counted as integers: a float32 sum is inexact above 2^24 pixels.
    results = [(correct[:, :k].sum().reshape(1) + eps) * (100.0 / (total + eps)) for k in ks]
    return results[0] if isinstance(topk, int) else results


class Accuracy(nn.Module):
    """``accuracy`` as a module; arguments as there."""

    def __init__(
        self, topk: tuple[int, ...] | int = (1,), thresh: float | None = None, ignore_index: int | None = None
    ) -> None:
        super().__init__()
        self.topk = topk
        self.thresh = thresh
        self.ignore_index = ignore_index

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Accuracy of scores (N, C, ...) for ids (N, ...)."""
        return accuracy(pred, target, self.topk, self.thresh, self.ignore_index)
