# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Cutting a window out of an image and its maps, or out of its content."""

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

#: How many windows are examined for ``cat_max_ratio`` before the next one is taken as it is.
MAX_TRIES = 10
_GUESS_STRIDE = 16


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Cut a random window out of ``img`` and every map in ``seg_fields``.

    With ``cat_max_ratio`` < 1 a window is drawn anew, up to 10 times, while one class covers that share
    of its pixels that are not ignored (or there is only one class); the last draw is taken unseen. An
    image smaller than the window stays as it is on that side.

    Args:
        crop_size: (height, width), or one number for both.
        cat_max_ratio: Share that no class may reach.
        ignore_index: Label that does not count.
    """

    def __init__(
        self, crop_size: int | tuple[int, int], cat_max_ratio: float = 1.0, ignore_index: int = 255
    ) -> None:
        if isinstance(crop_size, int):
            crop_size = (crop_size, crop_size)
        if len(crop_size) != 2 or min(crop_size) <= 0:
            raise ValueError(f'crop_size={crop_size}, expected a number > 0 or (height, width), both > 0.')
        self.crop_size = tuple(crop_size)
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draw the window (top, bottom, left, right)."""
        img = results['img']
        box = self._draw(img)
        if self.cat_max_ratio < 1.0:
            labels = results['gt_seg_map']
            hopeless = self._is_dominated_everywhere(labels)
            for _ in range(MAX_TRIES):
                if not hopeless and not self._is_dominated(self.crop(labels, box)):
                    break
                box = self._draw(img)
        return box

    def _draw(self, img: np.ndarray) -> tuple[int, int, int, int]:
        margin_h = max(img.shape[0] - self.crop_size[0], 0)
        margin_w = max(img.shape[1] - self.crop_size[1], 0)
        top = np.random.randint(0, margin_h + 1)
        left = np.random.randint(0, margin_w + 1)
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    def _is_dominated_everywhere(self, labels: np.ndarray) -> bool:
        """Whether no window can pass, because one class leaves too few pixels to all others.

        Histograms of eleven windows would be the dearest step of a pipeline. Where background is nearly
        everything, one count of the whole map settles them all. False means: look at each window.
        """
        if labels.dtype != np.uint8:
            return False
        # Every 16th row and column are enough to guess the most frequent label; the count is exact.
        guess = int(np.bincount(labels[::_GUESS_STRIDE, ::_GUESS_STRIDE].ravel()).argmax())
        if guess == self.ignore_index:
            return False
        others = labels.size - np.count_nonzero(labels == guess)
        window = min(labels.shape[0], self.crop_size[0]) * min(labels.shape[1], self.crop_size[1])
        # A window holds at most all of the others. If they are ignored ones the class's share only grows.
        return window - others >= self.cat_max_ratio * window

    def _is_dominated(self, labels: np.ndarray) -> bool:
        """Whether one class covers ``cat_max_ratio`` of the counted pixels, or there is at most one."""
        if labels.dtype == np.uint8:
            counts = cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256]).ravel()
            if 0 <= self.ignore_index < 256:
                counts[self.ignore_index] = 0
        else:
            ids, counts = np.unique(labels, return_counts=True)
            counts = counts[ids != self.ignore_index]
        counts = counts[counts > 0]
        return len(counts) <= 1 or bool(counts.max() / counts.sum() >= self.cat_max_ratio)

    def crop(self, img: np.ndarray, crop_bbox: tuple[int, int, int, int]) -> np.ndarray:
        """The window of ``img`` (H, W[, C]), as a view."""
        top, bottom, left, right = crop_bbox
        return img[top:bottom, left:right, ...]

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and the maps, and set ``img_shape``."""
        box = self.crop_bbox(results)
        # Copies of the windows: views would keep the whole resized image alive in every queued sample.
        results['img'] = self.crop(results['img'], box).copy()
        for key in results.get('seg_fields', []):
            results[key] = self.crop(results[key], box).copy()
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'
