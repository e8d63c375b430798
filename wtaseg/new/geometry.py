"""Crops, scale and windows of an experiment, from the sizes of images and defects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Side of crops and windows in pixels; the models' strides divide it.
CROP, STRIDE = 512, 32
#: Images up to this many times the crop are predicted whole.
WHOLE = 1.25
#: Thinner defects, in pixels, are never shrunk.
THIN = 4.0
#: A defect should not fill more than this share of a crop's side.
_FILLS = 0.75
#: Images whose sides differ less from the median count as of one size.
_SAME = 0.1
_OVERLAP = 3


@dataclass(frozen=True)
class Geometry:
    """How images go through training and testing.

    Attributes:
        image_size: (height, width) of the median image, in pixels.
        same_size: whether all images have about that size.
        scale: factor by which images are scaled first: 1, 1/2, 1/4, …
        crop: (height, width) of training crops and of windows.
        ratios: range of the random scale on top of ``scale``.
        slide: whether validation and test use overlapping windows.
        thickness: the tenth percentile of the defects' thickness, in pixels; None without defects.
        extent: the ninetieth percentile of their long sides, in pixels.
    """

    image_size: tuple[int, int]
    same_size: bool
    scale: float
    crop: tuple[int, int]
    ratios: tuple[float, float]
    slide: bool
    thickness: float | None
    extent: float | None

    @property
    def working_size(self) -> tuple[int, int]:
        """(height, width) of the median image after ``scale``."""
        return tuple(max(1, round(side * self.scale)) for side in self.image_size)

    @property
    def stride(self) -> tuple[int, int]:
        """Step of the windows: they overlap by a third."""
        return tuple(side - side // _OVERLAP for side in self.crop)

    def explain(self) -> list[str]:
        """What was chosen and why, as lines."""
        height, width = self.image_size
        scale = (
            'at native scale'
            if self.scale == 1
            else f'of images scaled to {self.scale:g}, since defects are large'
        )
        crop = f'{self.crop[1]} x {self.crop[0]}'
        defects = ''
        if self.thickness is not None:
            defects = f', defects from {self.thickness:.0f} px thickness up to {self.extent:.0f} px length'
        lines = [f'images of {width} x {height}{defects}', f'training on crops of {crop} {scale}']
        if self.slide:
            step = f'{self.stride[1]} x {self.stride[0]}'
            lines.append(f'validation and test in windows of {crop}, moved by {step}')
        else:
            lines.append('validation and test on whole images')
        return lines


def choose_geometry(sizes: Sequence[tuple[int, int]], defects: np.ndarray) -> Geometry:
    """The geometry for images of ``sizes`` (width, height) with ``defects`` as of ``Labelled.defects``.

    Images are only scaled down while a typical defect is too long for a crop and even thin ones stay at least
    :data:`THIN` pixels thick; thin defects vanish otherwise.
    """
    heights, widths = np.array([size[::-1] for size in sizes]).T
    height, width = int(np.median(heights)), int(np.median(widths))
    same = all(
        np.abs(sides / median - 1).max() <= _SAME for sides, median in ((heights, height), (widths, width))
    )
    thickness = extent = None
    scale = 1.0
    if len(defects):
        extent = float(np.percentile(defects[:, 0], 90))
        thickness = float(np.percentile(defects[:, 1], 10))
        while (
            extent * scale > _FILLS * CROP
            and thickness * scale / 2 >= THIN
            and max(height, width) * scale / 2 >= CROP
        ):
            scale /= 2
    working = [side * scale for side in (height, width)]
    crop = tuple(int(min(CROP, max(2 * STRIDE, -(-side // STRIDE) * STRIDE))) for side in working)
    slide = any(side > WHOLE * window for side, window in zip(working, crop))
    thin = thickness is not None and thickness * scale < 2 * THIN
    return Geometry(
        (height, width), same, scale, crop, (1.0, 1.5) if thin else (0.75, 1.5), slide, thickness, extent
    )
