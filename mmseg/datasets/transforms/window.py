"""Resize and crop in one step, for the training on a GPU, where both together are most of a worker's time."""

from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms.base import BaseTransform

from mmseg.registry import TRANSFORMS

from .crop import RandomCrop
from .geometry import RandomResize, Resize

#: Pixels of the source around a window, which bilinear interpolation reaches.
_MARGIN = 1


@TRANSFORMS.register_module()
class RandomResizedWindow(BaseTransform):
    """``RandomResize`` and then ``RandomCrop``, of which only the window is computed.

    It draws the same random numbers in the same order, so that scale and window are those of the two transforms. The
    part of the image that is resized begins and ends at whole pixels, which moves the window by at most one pixel, and may decide
    about one at the limit of ``cat_max_ratio`` in another way. Images that keep their size are the same to the bit. Image and
    maps are moved alike.

    Args:
        resize: arguments of ``RandomResize``.
        crop: arguments of ``RandomCrop``.

    Raises:
        ValueError: another ``resize_type`` or backend than the default.
    """

    def __init__(self, resize: dict[str, Any], crop: dict[str, Any]) -> None:
        self.resize: RandomResize = TRANSFORMS.build(dict(resize, type='mmseg.RandomResize'))
        self.crop: RandomCrop = TRANSFORMS.build(dict(crop, type='mmseg.RandomCrop'))
        if type(self.resize.resize) is not Resize or self.resize.resize.backend != 'cv2':
            raise ValueError(
                f'RandomResizedWindow: resize={resize}; expected resize_type Resize and backend cv2'
            )

    def transform(self, results: dict) -> dict:
        """Set ``img`` and the maps to their windows, and what the two transforms set."""
        results['scale'] = self.resize._random_scale()
        height, width = results['img'].shape[:2]
        keep_ratio = self.resize.resize.keep_ratio
        new = mmcv.rescale_size((width, height), results['scale']) if keep_ratio else results['scale']
        size = new[1], new[0]
        results.update(scale_factor=(new[0] / width, new[1] / height), keep_ratio=keep_ratio)
        labels = results['gt_seg_map'] if self.crop.cat_max_ratio < 1.0 else None
        box = self.crop.choose(size, labels, lambda box: window(labels, size, box, cv2.INTER_NEAREST))
        interpolation = mmcv.image.geometric.cv2_interp_codes[self.resize.resize.interpolation]
        results['img'] = window(results['img'], size, box, interpolation)
        for key in results.get('seg_fields', []):
            if results.get(key) is not None:
                results[key] = window(results[key], size, box, cv2.INTER_NEAREST)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(resize={self.resize}, crop={self.crop})'


def window(
    array: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int], interpolation: int
) -> np.ndarray:
    """A window of an array resized to ``size``.

    Args:
        array: (H, W[, C]).
        size: (height, width) of the whole.
        box: (top, bottom, left, right) in the whole; it may reach beyond it, as in ``RandomCrop``.
        interpolation: OpenCV's.
    """
    if array.shape[:2] == tuple(size):
        return array[box[0] : box[1], box[2] : box[3]]
    rows, height, top = _part(array.shape[0], size[0], *box[:2])
    columns, width, left = _part(array.shape[1], size[1], *box[2:])
    part = cv2.resize(array[rows, columns], (width, height), interpolation=interpolation)
    return part[top : top + box[1] - box[0], left : left + box[3] - box[2]]


def _part(length: int, new: int, start: int, stop: int) -> tuple[slice, int, int]:
    """The pixels of a side that a window needs, their number after resizing, and where in them the window begins."""
    stop, ratio = min(stop, new), new / length
    first = max(int(start / ratio) - _MARGIN, 0)
    last = min(int(np.ceil(stop / ratio)) + _MARGIN, length)
    begin = start - round(first * ratio)
    return slice(first, last), max(round((last - first) * ratio), begin + stop - start), begin
