# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Resize, flip and rotate an image together with all of its maps (``results['seg_fields']``)."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np
from mmcv import transforms as mmcv_transforms
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS

_FLIP_CODES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


@TRANSFORMS.register_module()
class Resize(mmcv_transforms.Resize):
    """mmcv's ``Resize`` that resizes every map in ``results['seg_fields']``, nearest neighbour."""

    def _resize_seg(self, results: dict) -> None:
        resize = mmcv.imrescale if self.keep_ratio else mmcv.imresize
        for key in results.get('seg_fields', []):
            if results.get(key) is not None:
                results[key] = resize(
                    results[key], results['scale'], interpolation='nearest', backend=self.backend
                )


@TRANSFORMS.register_module()
class RandomResize(mmcv_transforms.RandomResize):
    """mmcv's ``RandomResize``; ``resize_type`` is looked up in this package whatever the default scope."""

    def __init__(self, scale, ratio_range=None, resize_type: str = 'Resize', **resize_kwargs) -> None:
        self.scale = scale
        self.ratio_range = ratio_range
        self.resize_cfg = dict(type=resize_type, **resize_kwargs)
        self.resize = TRANSFORMS.build({'scale': 0, **self.resize_cfg})


@TRANSFORMS.register_module()
class RandomChoiceResize(mmcv_transforms.RandomChoiceResize):
    """mmcv's ``RandomChoiceResize``; ``resize_type`` is looked up in this package first."""

    def __init__(self, scales, resize_type: str = 'Resize', **resize_kwargs) -> None:
        super().__init__(scales, resize_type, **resize_kwargs)
        self.resize = TRANSFORMS.build({'scale': 0, **self.resize_cfg})


@TRANSFORMS.register_module()
class ResizeToMultiple(BaseTransform):
    """Enlarge image and maps so that both sides are multiples of ``size_divisor``.

    Args:
        size_divisor: The divisor.
        interpolation: For the image, mmcv's name; None is bilinear. Maps are nearest neighbour.
    """

    def __init__(self, size_divisor=32, interpolation=None) -> None:
        self.size_divisor = size_divisor
        self.interpolation = interpolation

    def transform(self, results: dict) -> dict:
        """Update ``img``, ``img_shape``, ``pad_shape`` and the maps."""
        results['img'] = mmcv.imresize_to_multiple(
            results['img'],
            self.size_divisor,
            scale_factor=1,
            interpolation=self.interpolation or 'bilinear',
        )
        results['img_shape'] = results['pad_shape'] = results['img'].shape[:2]
        for key in results.get('seg_fields', []):
            results[key] = mmcv.imresize_to_multiple(
                results[key], self.size_divisor, scale_factor=1, interpolation='nearest'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size_divisor={self.size_divisor}, interpolation={self.interpolation})'


@TRANSFORMS.register_module()
class ResizeShortestEdge(BaseTransform):
    """Scale, keeping the ratio, so that the shorter side is ``scale`` unless the longer would exceed ``max_size``.

    Args:
        scale: Target of the shorter side; of a tuple the smallest entry is used.
        max_size: Bound of the longer side.
    """

    def __init__(self, scale: int | tuple[int, int], max_size: int) -> None:
        self.scale = scale
        self.max_size = max_size
        self.resize = TRANSFORMS.build(dict(type='Resize', scale=0, keep_ratio=True))

    def _get_output_shape(self, img: np.ndarray, short_edge_length: int | tuple[int, int]) -> tuple[int, int]:
        """The new (width, height)."""
        h, w = img.shape[:2]
        size = min(short_edge_length) if isinstance(short_edge_length, tuple) else short_edge_length
        ratio = min(size / min(h, w), self.max_size / max(h, w))
        return int(w * ratio + 0.5), int(h * ratio + 0.5)

    def transform(self, results: dict) -> dict:
        """Resize through ``Resize``."""
        self.resize.scale = self._get_output_shape(results['img'], self.scale)
        return self.resize(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, max_size={self.max_size})'


@TRANSFORMS.register_module()
class SegRescale(BaseTransform):
    """Scale the maps alone by ``scale_factor``, nearest neighbour."""

    def __init__(self, scale_factor=1) -> None:
        self.scale_factor = scale_factor

    def transform(self, results: dict) -> dict:
        """Rescale every map in ``seg_fields``."""
        if self.scale_factor != 1:
            for key in results.get('seg_fields', []):
                results[key] = mmcv.imrescale(results[key], self.scale_factor, interpolation='nearest')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale_factor={self.scale_factor})'


@TRANSFORMS.register_module()
class RandomFlip(mmcv_transforms.RandomFlip):
    """mmcv's ``RandomFlip`` for the image and every map in ``seg_fields``, contiguous afterwards.

    ``swap_seg_labels`` exchanges pairs of ids in flipped label maps, such as left and right parts.
    """

    def _flip(self, results: dict) -> None:
        direction = results['flip_direction']
        results['img'] = _flip(results['img'], direction)
        shape = results['img'].shape[:2]
        if results.get('gt_bboxes') is not None:
            results['gt_bboxes'] = self._flip_bbox(results['gt_bboxes'], shape, direction)
        if results.get('gt_keypoints') is not None:
            results['gt_keypoints'] = self._flip_keypoints(results['gt_keypoints'], shape, direction)
        for key in results.get('seg_fields', []):
            if results.get(key) is not None:
                results[key] = self._flip_seg_map(results[key], direction)
                results['swap_seg_labels'] = self.swap_seg_labels

    def _flip_seg_map(self, seg_map: np.ndarray, direction: str) -> np.ndarray:
        flipped = _flip(seg_map, direction)
        if self.swap_seg_labels is None:
            return flipped
        swapped = flipped.copy()
        for a, b in self.swap_seg_labels:
            swapped[flipped == a] = b
            swapped[flipped == b] = a
        return swapped


def _flip(array: np.ndarray, direction: str) -> np.ndarray:
    if array.dtype in (np.uint8, np.float32) and array.ndim in (2, 3):
        return cv2.flip(array, _FLIP_CODES[direction]).reshape(array.shape)
    return np.ascontiguousarray(mmcv.imflip(array, direction))


def _angles(degree: float | Sequence[float], name: str) -> tuple[float, float]:
    """(min, max) of an argument ``degree``; a number d is (-d, d).

    Raises:
        ValueError: neither a number above 0 nor a pair; names the transform ``name``.
    """
    angles = (-degree, degree) if isinstance(degree, (int, float)) else tuple(degree)
    numbers = all(isinstance(angle, (int, float)) for angle in angles)
    if len(angles) != 2 or not numbers or (isinstance(degree, (int, float)) and degree <= 0):
        raise ValueError(f'{name}: degree={degree!r}, expected a number > 0 or a pair (min, max).')
    return angles


@TRANSFORMS.register_module()
class RandomRotate(BaseTransform):
    """Rotate image and maps by a random angle about the centre, with probability ``prob``.

    Args:
        prob: Probability, 0..1.
        degree: Range of the angle in degrees; a number d means (-d, d). Positive is clockwise.
        pad_val: Fill of the image.
        seg_pad_val: Fill of the maps.
        center: (x, y) of the fixed point, None for the image centre.
        auto_bound: Enlarge the canvas to hold the whole rotated image.
    """

    def __init__(self, prob, degree, pad_val=0, seg_pad_val=255, center=None, auto_bound=False) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomRotate: prob={prob}, expected a probability from 0 to 1.')
        self.prob = prob
        self.degree = _angles(degree, 'RandomRotate')
        self.pal_val = pad_val  # upstream's spelling of the attribute
        self.seg_pad_val = seg_pad_val
        self.center = center
        self.auto_bound = auto_bound

    @cache_randomness
    def generate_degree(self) -> tuple[bool, float]:
        """Draw whether to rotate, and the angle in degrees."""
        return np.random.rand() < self.prob, np.random.uniform(min(*self.degree), max(*self.degree))

    def transform(self, results: dict) -> dict:
        """Rotate ``img`` (bilinear) and the maps (nearest neighbour)."""
        rotate, degree = self.generate_degree()
        if not rotate:
            return results
        common = dict(angle=degree, center=self.center, auto_bound=self.auto_bound)
        results['img'] = mmcv.imrotate(results['img'], border_value=self.pal_val, **common)
        for key in results.get('seg_fields', []):
            results[key] = mmcv.imrotate(
                results[key], border_value=self.seg_pad_val, interpolation='nearest', **common
            )
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, degree={self.degree}, pad_val={self.pal_val}, '
            f'seg_pad_val={self.seg_pad_val}, center={self.center}, auto_bound={self.auto_bound})'
        )


@TRANSFORMS.register_module()
class RandomRotFlip(BaseTransform):
    """Rotation by an angle with ``rotate_prob``; otherwise, with ``flip_prob``, quarter turns and a flip.

    Maps are rotated with nearest neighbour; upstream interpolates them, which creates wrong labels.

    Args:
        rotate_prob: Probability of the rotation about the centre; corners are filled with 0.
        flip_prob: Probability of 0 to 3 quarter turns followed by a flip of either axis.
        degree: Range of the angle in degrees; a number d means (-d, d).
    """

    def __init__(self, rotate_prob=0.5, flip_prob=0.5, degree=(-20, 20)) -> None:
        for name, prob in (('rotate_prob', rotate_prob), ('flip_prob', flip_prob)):
            if not 0 <= prob <= 1:
                raise ValueError(f'RandomRotFlip: {name}={prob}, expected a probability from 0 to 1.')
        self.rotate_prob = rotate_prob
        self.flip_prob = flip_prob
        self.degree = _angles(degree, 'RandomRotFlip')

    def transform(self, results: dict) -> dict:
        """Change ``img`` and the maps alike."""
        maps = results.get('seg_fields', [])
        rotate = np.random.random() < self.rotate_prob
        if rotate:
            angle = np.random.uniform(min(self.degree), max(self.degree))
            results['img'] = mmcv.imrotate(results['img'], angle=angle)
            for key in maps:
                results[key] = mmcv.imrotate(results[key], angle=angle, interpolation='nearest')
        if np.random.random() < self.flip_prob and not rotate:
            turns = np.random.randint(0, 4)
            axis = np.random.randint(0, 2)
            for key in ('img', *maps):
                results[key] = np.flip(np.rot90(results[key], turns), axis).copy()
            results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(rotate_prob={self.rotate_prob}, flip_prob={self.flip_prob}, '
            f'degree={self.degree})'
        )
