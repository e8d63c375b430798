"""Conversion of labels from samples to one tensor, the only place of the training path that does it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.structures import SegDataSample

#: Labels of a batch: samples with ``gt_sem_seg``, as users of mmsegmentation pass them, or int64 (N, H, W); with
#: edge maps, for PIDNet, (N, 2, H, W).
GroundTruth = Sequence[SegDataSample] | Tensor


def have_stackable_gt(samples: Sequence[SegDataSample]) -> bool:
    """Whether :func:`stack_gt` accepts the samples: all have labels, of one size."""
    labelled = all('gt_sem_seg' in sample for sample in samples)
    return labelled and len({sample.gt_sem_seg.data.shape for sample in samples}) == 1


def stack_gt(batch: GroundTruth) -> Tensor:
    """Ground truth of a batch as one int64 tensor of shape (N, H, W).

    A tensor of that shape is returned as it is, so that a caller may have either; of (N, K, H, W) the first channel.

    Raises:
        ValueError: a sample without ground truth, or samples of different size.
    """
    if isinstance(batch, Tensor):
        return batch[:, 0] if batch.ndim == 4 else batch
    missing = [sample.metainfo.get('img_path', '?') for sample in batch if 'gt_sem_seg' not in sample]
    if missing:
        raise ValueError(
            f'no ground truth for {missing}; the train_pipeline needs LoadAnnotations before PackSegInputs'
        )
    labels = [sample.gt_sem_seg.data for sample in batch]
    if len({label.shape for label in labels}) > 1:
        sizes = {s.metainfo.get('img_path', '?'): tuple(s.gt_sem_seg.data.shape[-2:]) for s in batch}
        raise ValueError(
            f'labels of one batch differ in size: {sizes}; set data_preprocessor.size to the crop size'
        )
    return torch.stack(labels).squeeze(1).long()


def stack_edges(batch: GroundTruth) -> Tensor | None:
    """Edge maps of a batch, int64 (N, H, W), as the transform ``GenerateEdge`` makes them; None without any."""
    if isinstance(batch, Tensor):
        return batch[:, 1] if batch.ndim == 4 and batch.shape[1] > 1 else None
    if not batch or not all('gt_edge_map' in sample for sample in batch):
        return None
    return torch.stack([sample.gt_edge_map.data for sample in batch]).squeeze(1).long()


def stack_targets(batch: GroundTruth) -> Tensor:
    """All that a segmentor trains on as one tensor: labels (N, H, W) or, with edge maps, both (N, 2, H, W)."""
    labels, edges = stack_gt(batch), stack_edges(batch)
    return labels if edges is None else torch.stack([labels, edges], dim=1)
