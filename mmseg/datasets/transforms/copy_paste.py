# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Copy-paste of labelled defects, the baseline for generated training images."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform

from mmseg.registry import TRANSFORMS

from ..label_counts import class_counts

#: Width of the surroundings of a component, which are compared with its new position and partly copied.
_MARGIN = 4
#: Positions tried for a component before it is skipped.
_POSITIONS = 10


@dataclass
class _Patch:
    """A component cut out with its surroundings: ``img`` (h, w, 3), ``mask`` (h, w) bool, its class."""

    img: np.ndarray
    mask: np.ndarray
    label: int


@TRANSFORMS.register_module()
class CopyPasteDefects(BaseTransform):
    """Paste connected components of the defect classes of other training images into this one.

    After Ghiasi et al. 2021 (Simple Copy-Paste), with components instead of instances. A component is
    flipped, scaled, and pasted where all pixels are of class 0 and about as bright as its old surroundings; its
    brightness is shifted by the remaining difference, and its edge is blended. Labels are set exactly at the
    component's pixels. Use it in ``MultiImageMixDataset`` after loading.

    Args:
        prob: Probability that components are pasted into an image.
        classes: Ids of the defect classes; each is drawn equally often if a source contains it.
        max_components: Between one and this many components are pasted.
        num_sources: Number of images that components are taken from.
        scale_range: Bounds of the random scale of a component.
        max_difference: Largest difference of mean brightness, of 255, between old and new surroundings.

    Raises:
        ValueError: No image of the dataset contains one of the classes, or an argument is out of range.
    """

    def __init__(
        self,
        prob: float = 0.5,
        classes: Sequence[int] = (1, 2),
        max_components: int = 4,
        num_sources: int = 1,
        scale_range: tuple[float, float] = (0.75, 1.33),
        max_difference: float = 30.0,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'CopyPasteDefects: prob={prob}, expected a probability from 0 to 1.')
        if max_components < 1 or num_sources < 1:
            raise ValueError(
                f'CopyPasteDefects: max_components={max_components} and num_sources={num_sources} must be >= 1.'
            )
        if not 0 < scale_range[0] <= scale_range[1]:
            raise ValueError(f'CopyPasteDefects: scale_range={scale_range}, expected 0 < min <= max.')
        self.prob = prob
        self.classes = tuple(classes)
        self.max_components = max_components
        self.num_sources = num_sources
        self.scale_range = tuple(scale_range)
        self.max_difference = max_difference
        self._holders: list[np.ndarray] | None = None

    def prepare(self, dataset) -> None:
        """Find the images that contain each class; called once, before workers start."""
        counts = class_counts(dataset)
        holders = [np.flatnonzero(counts[:, label]) for label in self.classes]
        self._holders = [images for images in holders if len(images)]
        if not self._holders:
            raise ValueError(
                f'CopyPasteDefects: no image of the dataset contains one of the classes {self.classes}. '
                'Correct classes, or leave the transform out.'
            )

    def get_indices(self, dataset) -> list[int]:
        """Draw the source images; none if nothing is pasted."""
        if self._holders is None:
            self.prepare(dataset)
        if np.random.random() >= self.prob:
            return []
        return [
            int(np.random.choice(self._holders[np.random.randint(len(self._holders))]))
            for _ in range(self.num_sources)
        ]

    def transform(self, results: dict) -> dict:
        """Change ``img`` and ``gt_seg_map``; other maps must be generated later in the pipeline."""
        sources = results.get('mix_results', [])
        if not sources:
            return results
        img, labels = results['img'].copy(), results['gt_seg_map'].copy()
        for _ in range(np.random.randint(1, self.max_components + 1)):
            patch = self._cut(sources[np.random.randint(len(sources))])
            if patch is not None:
                _paste(patch, img, labels, self.max_difference)
        results['img'], results['gt_seg_map'] = img, labels
        return results

    def _cut(self, source: dict) -> _Patch | None:
        """A random component of a random class, flipped and scaled."""
        img, labels = source['img'], source['gt_seg_map']
        present = [label for label in self.classes if (labels == label).any()]
        if not present:
            return None
        label = present[np.random.randint(len(present))]
        count, components, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8))
        component = np.random.randint(1, count)
        left, top, width, height = stats[component, :4]
        rows = slice(max(top - _MARGIN, 0), top + height + _MARGIN)
        columns = slice(max(left - _MARGIN, 0), left + width + _MARGIN)
        patch, mask = img[rows, columns], (components[rows, columns] == component).astype(np.uint8)

        flip = np.random.randint(4)
        if flip < 3:
            patch, mask = cv2.flip(patch, flip - 1), cv2.flip(mask, flip - 1)
        scale = np.random.uniform(*self.scale_range)
        size = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
        patch = cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(bool)
        # a thin line can vanish when it is scaled down
        return _Patch(patch, mask, label) if mask.any() else None

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, classes={self.classes}, '
            f'max_components={self.max_components}, num_sources={self.num_sources}, '
            f'scale_range={self.scale_range}, max_difference={self.max_difference})'
        )


def _paste(patch: _Patch, img: np.ndarray, labels: np.ndarray, max_difference: float) -> bool:
    """Blend the patch into a random suitable position; False if there is none."""
    height, width = patch.mask.shape
    if height > img.shape[0] or width > img.shape[1]:
        return False
    around = ~cv2.dilate(patch.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    if not around.any():  # the component fills its box, for example one that touches all image borders
        around = ~patch.mask if not patch.mask.all() else patch.mask
    old = patch.img[around].mean(0)
    for _ in range(_POSITIONS):
        top = np.random.randint(0, img.shape[0] - height + 1)
        left = np.random.randint(0, img.shape[1] - width + 1)
        window = slice(top, top + height), slice(left, left + width)
        shift = img[window][around].mean(0) - old
        if not labels[window].any() and abs(shift.mean()) <= max_difference:
            break
    else:
        return False
    hard = patch.mask.astype(np.float32)
    # Full weight on the component itself, fading over the two pixels around it.
    alpha = np.maximum(hard, cv2.GaussianBlur(hard, (5, 5), 1.0))[..., None]
    shifted = np.clip(patch.img + shift, 0, 255)
    img[window] = np.round(alpha * shifted + (1 - alpha) * img[window]).astype(img.dtype)
    labels[window][patch.mask] = patch.label
    return True
