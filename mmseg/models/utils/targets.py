"""The one place where labels stop being Python objects."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.structures import SegDataSample


def stack_gt(batch: Sequence[SegDataSample] | Tensor) -> Tensor:
    """Ground truth of a batch as one int64 tensor of shape (N, H, W).

    A tensor of that shape (or (N, 1, H, W)) is passed through, so that everything behind this call can
    be given either.

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
    return torch.stack(labels).squeeze(1)
