"""Conversion of labels from samples to one tensor, the only place of the training path that does it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.structures import SegDataSample

#: Labels of a batch: samples with ``gt_sem_seg``, as users of mmsegmentation pass them, or int64 (N, H, W).
GroundTruth = Sequence[SegDataSample] | Tensor


def have_stackable_gt(samples: Sequence[SegDataSample]) -> bool:
    """Whether :func:`stack_gt` accepts the samples: all have labels, of one size."""
    labelled = all('gt_sem_seg' in sample for sample in samples)
    return labelled and len({sample.gt_sem_seg.data.shape for sample in samples}) == 1


def stack_gt(batch: GroundTruth) -> Tensor:
    """Ground truth of a batch as one int64 tensor of shape (N, H, W).

    A tensor of that shape (or (N, 1, H, W)) is returned as it is, so that a caller may have either.

    Raises:
        ValueError: a sample without ground truth, or samples of different size.
    """
    if isinstance(batch, Tensor):
        return batch.squeeze(1) if batch.ndim == 4 else batch
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
