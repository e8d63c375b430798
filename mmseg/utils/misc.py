"""Stacking a batch of images and labels, and naming its losses."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.structures import SegDataSample


def add_prefix(inputs: dict, prefix: str) -> dict:
    """``{'loss_ce': x}`` with prefix ``decode`` becomes ``{'decode.loss_ce': x}``."""
    return {f'{prefix}.{name}': value for name, value in inputs.items()}


def _padding_to(image: Tensor, size: tuple[int, int], size_divisor: int | None) -> tuple[int, int, int, int]:
    """``F.pad`` amounts (left, right, top, bottom) that bring ``image`` to ``size``, right and bottom only."""
    height, width = size
    if size_divisor is not None and size_divisor > 1:
        height = -(-height // size_divisor) * size_divisor
        width = -(-width // size_divisor) * size_divisor
    return 0, max(width - image.shape[-1], 0), 0, max(height - image.shape[-2], 0)


def _pad_labels(sample: SegDataSample, padding: tuple[int, int, int, int], seg_pad_val: float) -> None:
    if not any(padding):
        return
    for field, value in (('gt_sem_seg', seg_pad_val), ('gt_edge_map', seg_pad_val), ('gt_depth_map', 0)):
        if field in sample:
            element = getattr(sample, field)
            element.set_data({'data': F.pad(element.pop('data'), padding, value=value)})


def stack_batch(
    inputs: list[Tensor],
    data_samples: Sequence[SegDataSample] | None = None,
    size: tuple[int, int] | None = None,
    size_divisor: int | None = None,
    pad_val: float = 0,
    seg_pad_val: float = 255,
) -> tuple[Tensor, list[SegDataSample] | list[dict]]:
    """Pad images (and their labels) on the right and bottom and stack them.

    Exactly one of ``size`` and ``size_divisor`` is given.

    Args:
        inputs: images of shape (C, H, W), sizes may differ.
        data_samples: their samples; ``gt_sem_seg``, ``gt_edge_map`` and ``gt_depth_map`` are padded alike.
        size: (height, width) to pad to. Images already larger stay as they are.
        size_divisor: pad to the batch's largest height and width, rounded up to a multiple of this.
        pad_val: value of padded pixels.
        seg_pad_val: label of padded pixels.

    Returns:
        Tensor of shape (N, C, H, W) and the samples, whose metainfo now holds ``img_shape`` (before
        padding), ``pad_shape`` and ``padding_size`` (left, right, top, bottom); without ``data_samples``
        a list of dicts of ``img_padding_size`` and ``pad_shape``.

    Raises:
        ValueError: images that can't be stacked, or not exactly one of ``size`` and ``size_divisor``.
    """
    if (size is None) == (size_divisor is None):
        raise ValueError(
            f'data_preprocessor: give either size or size_divisor, got size={size}, size_divisor={size_divisor}'
        )
    for image in inputs:
        if image.ndim != 3:
            raise ValueError(f'stack_batch takes images of shape (C, H, W), got one of {tuple(image.shape)}')
    if len({image.shape[0] for image in inputs}) > 1:
        raise ValueError(
            f'images of one batch have {sorted({i.shape[0] for i in inputs})} channels; load all with the same color_type'
        )
    if size is None:
        size = (max(i.shape[-2] for i in inputs), max(i.shape[-1] for i in inputs))

    padded, infos = [], []
    for index, image in enumerate(inputs):
        padding = _padding_to(image, size, size_divisor)
        padded.append(F.pad(image, padding, value=pad_val) if any(padding) else image)
        pad_shape = tuple(padded[-1].shape[-2:])
        if data_samples is None:
            infos.append(dict(img_padding_size=padding, pad_shape=pad_shape))
            continue
        sample = data_samples[index]
        _pad_labels(sample, padding, seg_pad_val)
        sample.set_metainfo(dict(img_shape=image.shape[-2:], pad_shape=pad_shape, padding_size=padding))
        infos.append(sample)
    if len({image.shape for image in padded}) > 1:
        raise ValueError(
            f'images larger than the padded size {tuple(size)} differ in shape: '
            f'{sorted({tuple(i.shape[-2:]) for i in padded})}; crop them (RandomCrop) or raise data_preprocessor.size'
        )
    return torch.stack(padded), infos
