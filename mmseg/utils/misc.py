"""Stack a batch of images and labels; prefix the names of losses."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.structures import SegDataSample


def add_prefix(inputs: dict, prefix: str) -> dict:
    """``{'loss_ce': x}`` with prefix ``decode`` becomes ``{'decode.loss_ce': x}``."""
    return {f'{prefix}.{name}': value for name, value in inputs.items()}


def _pad_labels(sample: SegDataSample, padding: tuple[int, int, int, int], seg_pad_val: float) -> None:
    if not any(padding):
        return
    for field, value in (('gt_sem_seg', seg_pad_val), ('gt_edge_map', seg_pad_val), ('gt_depth_map', 0)):
        if field in sample:
            element = getattr(sample, field)
            element.set_data({'data': F.pad(element.pop('data'), padding, value=value)})


def _check_images(inputs: Sequence[Tensor] | Tensor) -> None:
    for image in inputs:
        if image.ndim != 3:
            raise ValueError(f'stack_batch takes images of shape (C, H, W), got one of {tuple(image.shape)}')
    if len({image.shape[0] for image in inputs}) > 1:
        raise ValueError(
            f'images of one batch have {sorted({i.shape[0] for i in inputs})} channels; load all with the same color_type'
        )


def _padded_size(
    inputs: Sequence[Tensor] | Tensor, size: tuple[int, int] | None, size_divisor: int | None
) -> tuple[int, int]:
    """``size``, or the batch's largest height and width rounded up to multiples of ``size_divisor``."""
    if (size is None) == (size_divisor is None):
        raise ValueError(
            f'data_preprocessor: give either size or size_divisor, got size={size}, size_divisor={size_divisor}'
        )
    if size is not None:
        return size
    height, width = (max(image.shape[side] for image in inputs) for side in (-2, -1))
    return -(-height // size_divisor) * size_divisor, -(-width // size_divisor) * size_divisor


def stack_batch(
    inputs: Sequence[Tensor] | Tensor,
    data_samples: Sequence[SegDataSample] | None = None,
    size: tuple[int, int] | None = None,
    size_divisor: int | None = None,
    pad_val: float = 0,
    seg_pad_val: float = 255,
) -> tuple[Tensor, list[SegDataSample] | list[dict]]:
    """Pad images (and their labels) on the right and bottom and stack them.

    Exactly one of ``size`` and ``size_divisor`` is given.

    Args:
        inputs: images of shape (C, H, W), sizes may differ; or images of one size as a tensor (N, C, H, W),
            which is padded as a whole.
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
    height, width = _padded_size(inputs, size, size_divisor)
    _check_images(inputs)
    # ``F.pad`` counts left, right, top, bottom
    paddings = [(0, max(width - i.shape[-1], 0), 0, max(height - i.shape[-2], 0)) for i in inputs]
    shapes = [(i.shape[-2] + p[3], i.shape[-1] + p[1]) for i, p in zip(inputs, paddings)]
    if len(set(shapes)) > 1:
        raise ValueError(
            f'images larger than the padded size {(height, width)} differ in shape: {sorted(set(shapes))}; '
            'crop them (RandomCrop) or raise data_preprocessor.size'
        )
    if isinstance(inputs, Tensor):
        batch = F.pad(inputs, paddings[0], value=pad_val) if any(paddings[0]) else inputs
    else:
        batch = torch.stack(
            [F.pad(i, p, value=pad_val) if any(p) else i for i, p in zip(inputs, paddings, strict=True)]
        )
    if data_samples is None:
        return batch, [dict(img_padding_size=p, pad_shape=shape) for p, shape in zip(paddings, shapes)]
    for image, sample, padding, shape in zip(inputs, data_samples, paddings, shapes):
        _pad_labels(sample, padding, seg_pad_val)
        sample.set_metainfo(dict(img_shape=image.shape[-2:], pad_shape=shape, padding_size=padding))
    return batch, list(data_samples)
