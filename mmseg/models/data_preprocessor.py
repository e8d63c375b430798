"""From a collated batch of images and labels to tensors on the model's device."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.structures.stacked_batch import SIDES, unstack
from mmseg.utils.misc import stack_batch

from .utils.distortion import distort
from .utils.targets import have_stackable_gt, stack_targets


@MODELS.register_module()
class SegDataPreProcessor(BaseDataPreprocessor):
    """Move a batch to the device, stack, normalise and pad it.

    Training batches are padded to ``size`` or to a multiple of ``size_divisor``, labels with them.
    Test batches keep their size unless ``test_cfg`` sets ``size`` or ``size_divisor``; then
    ``img_padding_size`` in the metainfo lets the segmentor remove the padding again.

    Args:
        mean, std: one value per channel in the order *after* channel conversion, or both None for no
            normalisation.
        size: (height, width) training images are padded to.
        size_divisor: training images are padded to a multiple of this.
        pad_val: padding value, after normalisation.
        seg_pad_val: padding label.
        bgr_to_rgb, rgb_to_bgr: reverse the three channels. Not both.
        batch_augments: modules called as ``module(inputs, data_samples)`` on training batches.
        test_cfg: ``dict(size=…)`` or ``dict(size_divisor=…)`` for test batches.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        pad_val: float = 0,
        seg_pad_val: float = 255,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        batch_augments: list[dict] | None = None,
        test_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError(
                'data_preprocessor: bgr_to_rgb and rgb_to_bgr cancel each other; set one of them'
            )
        if (mean is None) != (std is None):
            raise ValueError(f'data_preprocessor: give mean and std together, got mean={mean}, std={std}')
        self.size = size
        self.size_divisor = size_divisor
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.channel_conversion = bgr_to_rgb or rgb_to_bgr
        self.test_cfg = test_cfg
        self._enable_normalize = mean is not None
        if self._enable_normalize:
            self.register_buffer(
                'mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False
            )
            self.register_buffer(
                'std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False
            )
        self.batch_augments = torch.nn.ModuleList(MODELS.build(a) for a in batch_augments or ())

    def _normalize(self, image: Tensor) -> Tensor:
        """Channel order, float32 and normalisation of an image (C, H, W) or a stack of them (N, C, H, W)."""
        if self.channel_conversion and image.shape[-3] == 3:
            image = image.flip(-3)
        image = image.float()
        return (image - self.mean) / self.std if self._enable_normalize else image

    def _normalize_all(self, images: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Images of one size as a normalised stack (N, C, H, W), else a list of (C, H, W)."""
        if isinstance(images, Tensor):
            return self._normalize(images)
        if len({image.shape for image in images}) == 1:
            return self._normalize(torch.stack(tuple(images)))
        return [self._normalize(image) for image in images]

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Prepare one batch.

        Args:
            data: ``inputs`` (images of shape (C, H, W), uint8 or float) and ``data_samples``.
            training: whether the batch is one to train on.

        Returns:
            ``inputs`` float32 of shape (N, C, H, W) and ``data_samples``; of a training batch whose samples all
            have labels of one size also ``gt``, int64 of shape (N, H, W), or (N, 2, H, W) of labels and edge maps
            if they have these.

        Raises:
            ValueError: a training batch without samples, or a test batch whose images can't be stacked.
        """
        if training and SIDES in data:
            return self._stacked_batch(data)
        data = self.cast_data(data)
        if training:
            data['inputs'] = _distorted(data['inputs'], data.get('data_samples'))
        inputs = self._normalize_all(data['inputs'])
        if training:
            return self._training_batch(inputs, data.get('data_samples'))
        return self._test_batch(inputs, data.get('data_samples'))

    def raw_tensors(self, data: dict) -> dict[str, Tensor] | None:
        """The tensors of a stacked training batch on the device; :meth:`finish` makes images and labels of them.

        Args:
            data: of :class:`mmseg.datasets.stacked_batch.StackedCollate`.

        Returns:
            None for other batches, for those that are not padded enough, and where ``batch_augments`` need samples.
        """
        if SIDES not in data or self.batch_augments or not self._is_padded(data['inputs']):
            return None
        tensors = {name: value for name, value in data.items() if isinstance(value, Tensor)}
        return _copied(tensors, torch.device(self.device))

    def finish(self, raw: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Distort, normalise and pad the images of a stacked batch, by operations on tensors that no value changes.

        Args:
            raw: of :meth:`raw_tensors`.

        Returns:
            Images float32 (N, C, H, W) and labels int64 (N, H, W).
        """
        images = raw['inputs']
        if images.shape[1] == 3:
            images = distort(images, raw['distortion'])
        images = self._normalize(images)
        height, width = images.shape[-2:]
        rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=images.device)
        heights, widths = raw[SIDES].view(-1, 2, 1, 1, 1).unbind(1)
        inside = (rows < heights) & (columns < widths)
        return torch.where(inside, images, self.pad_val), raw['gt'].long()

    def _is_padded(self, images: Tensor) -> bool:
        height, width = images.shape[-2:]
        if self.size is not None:
            return height >= self.size[0] and width >= self.size[1]
        divisor = self.size_divisor or 1
        return height % divisor == width % divisor == 0

    def _stacked_batch(self, data: dict) -> dict[str, Any]:
        tensors = {name: value for name, value in data.items() if isinstance(value, Tensor)}
        raw = _copied(tensors, torch.device(self.device))
        inputs, gt = self.finish(raw)
        samples = unstack(data, inputs, gt)
        if self.batch_augments or not self._is_padded(inputs):
            return self._training_batch(inputs, samples)
        return dict(inputs=inputs, data_samples=samples, gt=gt)

    def _training_batch(
        self, inputs: Tensor | list[Tensor], data_samples: Sequence[SegDataSample] | None
    ) -> dict[str, Any]:
        if data_samples is None:
            raise ValueError(
                'a training batch holds no data_samples; end the train_pipeline with PackSegInputs'
            )
        # without either: pad to the largest image of the batch
        size_divisor = 1 if self.size is None and self.size_divisor is None else self.size_divisor
        inputs, data_samples = stack_batch(
            inputs, data_samples, self.size, size_divisor, self.pad_val, self.seg_pad_val
        )
        for augment in self.batch_augments:
            inputs, data_samples = augment(inputs, data_samples)
        batch = dict(inputs=inputs, data_samples=data_samples)
        if have_stackable_gt(data_samples):
            batch['gt'] = stack_targets(data_samples)
        return batch

    def _test_batch(
        self, inputs: Tensor | list[Tensor], data_samples: Sequence[SegDataSample] | None
    ) -> dict[str, Any]:
        if not self.test_cfg:
            if not isinstance(inputs, Tensor):
                raise ValueError(
                    'images of one test batch differ in size: '
                    f'{[tuple(image.shape[-2:]) for image in inputs]}; set test_dataloader.batch_size=1, resize '
                    'them, or give data_preprocessor.test_cfg=dict(size_divisor=32)'
                )
            return dict(inputs=inputs, data_samples=data_samples)
        inputs, infos = stack_batch(
            inputs,
            size=self.test_cfg.get('size'),
            size_divisor=self.test_cfg.get('size_divisor'),
            pad_val=self.pad_val,
            seg_pad_val=self.seg_pad_val,
        )
        for sample, info in zip(data_samples or (), infos):
            sample.set_metainfo(info)
        return dict(inputs=inputs, data_samples=data_samples)


def _distorted(images: Sequence[Tensor], samples: Sequence[SegDataSample] | None) -> Sequence[Tensor]:
    """Images (C, H, W) of any sizes; those whose distortion was only drawn, distorted."""
    rows = [sample.metainfo.get('distortion') for sample in samples or ()]
    if not any(rows):
        return images
    return [
        image.float() if row is None else distort(image[None], torch.tensor([row], device=image.device))[0]
        for image, row in zip(images, rows, strict=True)
    ]


@cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def _copied(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Tensors on a device; from pinned memory they are copied to a GPU while it computes."""
    if device.type != 'cuda':
        return {name: value.to(device) for name, value in tensors.items()}
    current, stream = torch.cuda.current_stream(device), _copy_stream(device)
    with torch.cuda.stream(stream):
        copies = {name: value.to(device, non_blocking=True) for name, value in tensors.items()}
    current.wait_stream(stream)
    for value in copies.values():
        value.record_stream(current)
    return copies
