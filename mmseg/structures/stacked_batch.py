"""Collate a training batch to few 8-bit tensors, which are quick to pin and to copy to a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from torch import Tensor

from .distortion import Distortion
from .seg_data_sample import SegDataSample

#: Key of the batch that only a stacked one has.
SIDES = 'sides'


@dataclass(frozen=True)
class StackedCollate:
    """A ``collate_fn`` whose batches are dicts of tensors beside the samples without labels.

    A batch has ``inputs``, uint8 (N, C, H, W); ``gt``, uint8 (N, H, W); ``sides``, int64 (N, 2), height and width of each
    image, which is padded on the right and bottom; ``distortion``, float32 (N, 5), rows of
    :class:`mmseg.structures.Distortion`; and ``data_samples`` with their meta information. Batches that do not fit, of
    other types or of images larger than ``size``, are collated as mmengine does.

    Attributes:
        size: (height, width) of the padded images; None: batches must be of one size.
        seg_pad_val: label of padded pixels.
    """

    size: tuple[int, int] | None = None
    seg_pad_val: int = 255

    def __call__(self, batch: Sequence[dict]) -> dict[str, Any]:
        """Collate results of ``PackSegInputs``."""
        size = self._size(batch)
        if size is None:
            return pseudo_collate(batch)
        images = [item['inputs'] for item in batch]
        samples = [item['data_samples'] for item in batch]
        inputs = torch.zeros(len(batch), images[0].shape[0], *size, dtype=torch.uint8)
        gt = torch.full((len(batch), *size), self.seg_pad_val, dtype=torch.uint8)
        for index, (image, sample) in enumerate(zip(images, samples)):
            height, width = image.shape[1:]
            inputs[index, :, :height, :width] = image
            gt[index, :height, :width] = sample.gt_sem_seg.data[0]
        rows = [sample.metainfo.get('distortion', Distortion()) for sample in samples]
        return dict(
            inputs=inputs,
            gt=gt,
            sides=torch.tensor([image.shape[1:] for image in images]),
            distortion=torch.tensor(rows, dtype=torch.float32),
            data_samples=[SegDataSample(metainfo=sample.metainfo) for sample in samples],
        )

    def _size(self, batch: Sequence[dict]) -> tuple[int, int] | None:
        """Of the padded images; None: the batch can't be stacked."""
        images = [item.get('inputs') for item in batch]
        for item, image in zip(batch, images):
            sample = item.get('data_samples')
            if (
                not isinstance(image, Tensor)
                or image.dtype != torch.uint8
                or image.ndim != 3
                or not isinstance(sample, SegDataSample)
                or set(sample.keys()) != {'gt_sem_seg'}
                or sample.gt_sem_seg.data.shape != (1, *image.shape[1:])
                or not _is_8_bit(sample.gt_sem_seg.data)
            ):
                return None
        if len({image.shape[0] for image in images}) > 1:
            return None
        sides = {tuple(image.shape[1:]) for image in images}
        if self.size is None:
            return sides.pop() if len(sides) == 1 else None
        fits = all(height <= self.size[0] and width <= self.size[1] for height, width in sides)
        return tuple(self.size) if fits and 0 <= self.seg_pad_val <= 255 else None


def _is_8_bit(labels: Tensor) -> bool:
    least, most = labels.aminmax()
    return bool(least >= 0) and bool(most <= 255)


def unstack(batch: dict[str, Any], inputs: Tensor, gt: Tensor) -> list[SegDataSample]:
    """The samples of a stacked batch with their labels and padding, as ``stack_batch`` makes them.

    Args:
        batch: of :class:`StackedCollate`.
        inputs: its images on the model's device (N, C, H, W).
        gt: its labels there, int64 (N, H, W).
    """
    size = tuple(inputs.shape[-2:])
    samples = batch['data_samples']
    for sample, (height, width), labels in zip(samples, batch[SIDES].tolist(), gt):
        sample.gt_sem_seg = PixelData(data=labels[None])
        padding = (0, size[1] - width, 0, size[0] - height)
        sample.set_metainfo(dict(img_shape=torch.Size((height, width)), pad_shape=size, padding_size=padding))
    return samples
