# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Cover parts of an image, or combine several images to one."""

import mmcv
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCutOut(BaseTransform):
    """Fill random rectangles (DeVries and Taylor 2017) with a colour, with probability ``prob``.

    Args:
        prob: Probability, 0..1.
        n_holes: Number of rectangles, or bounds (min, max) of it.
        cutout_shape: (width, height) of a rectangle, or a list of them to draw from.
        cutout_ratio: The same as shares of the image; one of the two is given.
        fill_in: Colour of the rectangles, in the image's channel order.
        seg_fill_in: Label of the rectangles, 0..255; None does not change the maps.
    """

    def __init__(
        self,
        prob,
        n_holes,
        cutout_shape=None,
        cutout_ratio=None,
        fill_in=(0, 0, 0),
        seg_fill_in=None,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomCutOut: prob={prob}, expected a probability from 0 to 1.')
        if (cutout_shape is None) == (cutout_ratio is None):
            raise ValueError('RandomCutOut: give either cutout_shape or cutout_ratio.')
        n_holes = tuple(n_holes) if isinstance(n_holes, (tuple, list)) else (n_holes, n_holes)
        if len(n_holes) != 2 or not 0 <= n_holes[0] <= n_holes[1]:
            raise ValueError(f'RandomCutOut: n_holes={n_holes}, expected a number >= 0 or (min, max).')
        if seg_fill_in is not None and not (isinstance(seg_fill_in, int) and 0 <= seg_fill_in <= 255):
            raise ValueError(f'RandomCutOut: seg_fill_in={seg_fill_in}, expected a label 0..255 or None.')
        self.prob = prob
        self.n_holes = n_holes
        self.fill_in = fill_in
        self.seg_fill_in = seg_fill_in
        self.with_ratio = cutout_ratio is not None
        candidates = cutout_ratio if self.with_ratio else cutout_shape
        self.candidates = candidates if isinstance(candidates, list) else [candidates]
        self._check_candidates()

    def _check_candidates(self) -> None:
        """Raise ``ValueError`` for rectangles that are no pairs of positive pixels or shares."""
        name, numbers = (
            ('cutout_ratio', 'shares in (0, 1]') if self.with_ratio else ('cutout_shape', 'pixels > 0')
        )
        for pair in self.candidates:
            valid = isinstance(pair, (tuple, list)) and len(pair) == 2
            kinds, most = ((int, float), 1) if self.with_ratio else (int, float('inf'))
            if not (valid and all(isinstance(side, kinds) and 0 < side <= most for side in pair)):
                raise ValueError(
                    f'RandomCutOut: {name}={pair!r}, expected (width, height) in {numbers}, or a list of such pairs.'
                )

    @cache_randomness
    def do_cutout(self) -> bool:
        """Draw whether to apply the transform."""
        return np.random.rand() < self.prob

    @cache_randomness
    def generate_patches(self, results: dict) -> tuple[bool, int, list[int], list[int], list[int]]:
        """Draw (whether, number, left edges, top edges, candidate indices)."""
        cutout = self.do_cutout()
        h, w = results['img'].shape[:2]
        count = np.random.randint(self.n_holes[0], self.n_holes[1] + 1)
        draws = [
            (np.random.randint(0, w), np.random.randint(0, h), np.random.randint(0, len(self.candidates)))
            for _ in range(count)
        ]
        lefts, tops, indices = ([draw[i] for draw in draws] for i in range(3))
        return cutout, count, lefts, tops, indices

    def transform(self, results: dict) -> dict:
        """Fill the rectangles of ``img`` and, with ``seg_fill_in``, of the maps."""
        cutout, _, lefts, tops, indices = self.generate_patches(results)
        if not cutout:
            return results
        h, w = results['img'].shape[:2]
        for left, top, index in zip(lefts, tops, indices, strict=True):
            width, height = self.candidates[index]
            if self.with_ratio:
                width, height = int(width * w), int(height * h)
            window = slice(top, min(top + height, h)), slice(left, min(left + width, w))
            results['img'][window] = self.fill_in
            if self.seg_fill_in is not None:
                for key in results.get('seg_fields', []):
                    results[key][window] = self.seg_fill_in
        return results

    def __repr__(self) -> str:
        name = 'cutout_ratio' if self.with_ratio else 'cutout_shape'
        return (
            f'{type(self).__name__}(prob={self.prob}, n_holes={self.n_holes}, {name}={self.candidates}, '
            f'fill_in={self.fill_in}, seg_fill_in={self.seg_fill_in})'
        )


@TRANSFORMS.register_module()
class RandomMosaic(BaseTransform):
    """Combine four images around a random point of a canvas twice as large (YOLOv4, section 3.3).

    Needs ``MultiImageMixDataset``, which puts the other three into ``results['mix_results']``.

    Args:
        prob: Probability, 0..1.
        img_scale: (height, width) that each image is fitted into; the canvas is twice that.
        center_ratio_range: Bounds of the point, as multiples of ``img_scale``.
        pad_val: Fill of the canvas that no image covers.
        seg_pad_val: Fill of the maps there.
    """

    def __init__(
        self, prob, img_scale=(640, 640), center_ratio_range=(0.5, 1.5), pad_val=0, seg_pad_val=255
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomMosaic: prob={prob}, expected a probability from 0 to 1.')
        if not isinstance(img_scale, tuple) or len(img_scale) != 2:
            raise ValueError(f'RandomMosaic: img_scale={img_scale}, expected a tuple (height, width).')
        self.prob = prob
        self.img_scale = img_scale
        self.center_ratio_range = center_ratio_range
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    @cache_randomness
    def do_mosaic(self) -> bool:
        """Draw whether to apply the transform."""
        return np.random.rand() < self.prob

    def get_indices(self, dataset) -> list[int]:
        """Draw the three other images."""
        return [np.random.randint(0, len(dataset)) for _ in range(3)]

    @cache_randomness
    def generate_mosaic_center(self) -> tuple[int, int]:
        """Draw the point (x, y) where the four images meet."""
        x = int(np.random.uniform(*self.center_ratio_range) * self.img_scale[1])
        y = int(np.random.uniform(*self.center_ratio_range) * self.img_scale[0])
        return x, y

    def transform(self, results: dict) -> dict:
        """Replace ``img`` and the maps by the mosaic; ``img_shape`` and ``ori_shape`` become (H, W, C)."""
        if not self.do_mosaic():
            return results
        if len(results.get('mix_results', [])) != 3:
            raise ValueError(
                'RandomMosaic needs three further images in results["mix_results"]: wrap the dataset in '
                "dict(type='MultiImageMixDataset', dataset=..., pipeline=[dict(type='RandomMosaic', ...), ...])."
            )
        center = self.generate_mosaic_center()
        parts = [results, *results['mix_results']]
        for key in results.get('seg_fields', []):
            results[key] = self._combine([part[key] for part in parts], center, self.seg_pad_val, 'nearest')
        images = [part['img'] for part in parts]
        results['img'] = self._combine(images, center, self.pad_val, 'bilinear')
        results['img_shape'] = results['ori_shape'] = results['img'].shape  # three numbers, as upstream
        return results

    def _combine(
        self, parts: list[np.ndarray], center: tuple[int, int], fill, interpolation: str
    ) -> np.ndarray:
        """Place the parts top left, top right, bottom left and bottom right of ``center``."""
        height, width = self.img_scale
        canvas = np.full((2 * height, 2 * width, *parts[0].shape[2:]), fill, parts[0].dtype)
        x, y = center
        for position, part in enumerate(parts):
            h, w = part.shape[:2]
            ratio = min(height / h, width / w)
            part = mmcv.imresize(part, (int(w * ratio), int(h * ratio)), interpolation=interpolation)
            h, w = part.shape[:2]
            right, below = position % 2 == 1, position >= 2
            left, top = (x if right else x - w), (y if below else y - h)
            # the section of the part that lies on the canvas
            x1, y1 = max(left, 0), max(top, 0)
            x2, y2 = min(left + w, 2 * width), min(top + h, 2 * height)
            canvas[y1:y2, x1:x2] = part[y1 - top : y2 - top, x1 - left : x2 - left]
        return canvas

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, img_scale={self.img_scale}, '
            f'center_ratio_range={self.center_ratio_range}, pad_val={self.pad_val}, '
            f'seg_pad_val={self.seg_pad_val})'
        )
