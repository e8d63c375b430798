# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Crop a random window of an image and its maps."""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

#: Number of windows that are checked for ``cat_max_ratio`` before the next one is taken unchecked.
MAX_TRIES = 10
_GUESS_STRIDE = 16


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Crop a random window of ``img`` and of every map in ``seg_fields``.

    With ``cat_max_ratio`` < 1 another window is drawn, up to 10 times, while one class covers that share of the
    pixels that are not ignored (or there is only one class); the last one is taken unchecked. A side of the
    image that is smaller than the window is not cropped.

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
        labels = results['gt_seg_map'] if self.cat_max_ratio < 1.0 else None
        return self.choose(results['img'].shape[:2], labels, lambda box: self.crop(labels, box))

    def choose(
        self,
        size: tuple[int, int],
        labels: np.ndarray | None,
        cut: Callable[[tuple[int, int, int, int]], np.ndarray],
    ) -> tuple[int, int, int, int]:
        """Draw the window (top, bottom, left, right) in an image.

        Args:
            size: (height, width) of the image.
            labels: of the image, maybe before it is resized; read if ``cat_max_ratio`` < 1.
            cut: the labels of a window.
        """
        box = self._draw(size)
        if self.cat_max_ratio < 1.0:
            always = self._is_dominated_everywhere(labels, size)
            for _ in range(MAX_TRIES):
                if not always and not self._is_dominated(cut(box)):
                    break
                box = self._draw(size)
        return box

    def _draw(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        top, left = (
            np.random.randint(0, max(side - crop, 0) + 1) for side, crop in zip(size, self.crop_size)
        )
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    def _is_dominated_everywhere(self, labels: np.ndarray, size: tuple[int, int]) -> bool:
        """Whether one class dominates every possible window, because all others have too few pixels.

        Histograms of eleven windows would be the most expensive step of a pipeline. Where the background covers
        nearly everything, one count of the whole map replaces them. False means that each window is checked.
        """
        if labels.dtype != np.uint8:
            return False
        # every 16th row and column suffice to guess the most frequent label; the count is exact
        guess = int(np.bincount(labels[::_GUESS_STRIDE, ::_GUESS_STRIDE].ravel()).argmax())
        if guess == self.ignore_index:
            return False
        others = labels.size - np.count_nonzero(labels == guess)
        # each pixel becomes at most so many
        others *= math.prod(math.ceil(new / side) for new, side in zip(size, labels.shape))
        window = math.prod(map(min, size, self.crop_size))
        # A window contains at most all of the others. Where they are ignored, the share of the class is larger.
        return window - others >= self.cat_max_ratio * window

    def _is_dominated(self, labels: np.ndarray) -> bool:
        """Whether one class covers ``cat_max_ratio`` of the counted pixels, or there is at most one."""
        if labels.dtype == np.uint8:
            counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()
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
        """Crop ``img`` and the maps to views of their windows, and set ``img_shape``."""
        box = self.crop_bbox(results)
        results['img'] = self.crop(results['img'], box)
        for key in results.get('seg_fields', []):
            results[key] = self.crop(results[key], box)
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, cat_max_ratio={self.cat_max_ratio}, '
            f'ignore_index={self.ignore_index})'
        )


@TRANSFORMS.register_module()
class RareClassCrop(RandomCrop):
    """A ``RandomCrop`` whose window contains a pixel of a rare class.

    The class is ``results['rare_class']`` where ``RareClassDataset`` has drawn one. Without that key, one of
    the ``classes`` in the label map is drawn with probability ``prob``. The window is uniform among those that
    contain a random pixel of the class; without a class it is ``RandomCrop``'s.

    Args:
        crop_size: (height, width), or one number for both.
        cat_max_ratio: As in ``RandomCrop``, for windows without a class.
        ignore_index: Label that does not count.
        classes: Ids to draw from; None: every class but 0.
        prob: Probability that a class is drawn if no dataset has drawn one.
    """

    def __init__(
        self,
        crop_size: int | tuple[int, int],
        cat_max_ratio: float = 1.0,
        ignore_index: int = 255,
        classes: Sequence[int] | None = None,
        prob: float = 0.5,
    ) -> None:
        super().__init__(crop_size, cat_max_ratio, ignore_index)
        if not 0 <= prob <= 1:
            raise ValueError(f'RareClassCrop: prob={prob}, expected a probability from 0 to 1.')
        self.classes = None if classes is None else tuple(classes)
        self.prob = prob

    @cache_randomness
    def crop_bbox(self, results: dict) -> tuple[int, int, int, int]:
        """Draw the window (top, bottom, left, right)."""
        labels = results['gt_seg_map']
        rare = results['rare_class'] if 'rare_class' in results else self._draw_class(labels)
        rows, columns = np.nonzero(labels == rare) if rare is not None else ((), ())
        if not len(rows):  # no class drawn, or lost when the image was scaled down
            return super().crop_bbox(results)
        pixel = np.random.randint(len(rows))
        top = self._start(rows[pixel], labels.shape[0], self.crop_size[0])
        left = self._start(columns[pixel], labels.shape[1], self.crop_size[1])
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    def _draw_class(self, labels: np.ndarray) -> int | None:
        if np.random.random() >= self.prob:
            return None
        present = [label for label in np.unique(labels).tolist() if label != self.ignore_index]
        candidates = [
            label for label in present if (label != 0 if self.classes is None else label in self.classes)
        ]
        return candidates[np.random.randint(len(candidates))] if candidates else None

    @staticmethod
    def _start(position: int, side: int, window: int) -> int:
        """A random start of a window inside ``side`` that contains ``position``."""
        first = max(0, position - window + 1)
        last = max(0, min(position, side - window))
        return int(np.random.randint(min(first, last), last + 1))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, cat_max_ratio={self.cat_max_ratio}, '
            f'ignore_index={self.ignore_index}, classes={self.classes}, prob={self.prob})'
        )
