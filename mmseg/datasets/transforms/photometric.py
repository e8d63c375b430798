# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Change the pixel values of an image, not its geometry."""

from collections.abc import Sequence
from math import isnan

import cv2
import mmcv
import numpy as np
from mmcv.transforms.base import BaseTransform
from numpy import random

from mmseg.registry import TRANSFORMS
from mmseg.structures import Distortion

_LEVELS = np.arange(256, dtype=np.float32)
_IDENTITY = np.arange(256, dtype=np.uint8)


def _linear_table(alpha: float = 1, beta: float = 0) -> np.ndarray:
    """``alpha * x + beta``, clipped and truncated, for each of the 256 levels x."""
    return np.clip(_LEVELS * alpha + beta, 0, 255).astype(np.uint8)


@TRANSFORMS.register_module()
class PhotoMetricDistortion(BaseTransform):
    """Random brightness, contrast, saturation and hue, each with probability one half.

    The order is brightness, contrast (in half of the cases), saturation, hue, contrast (in the other
    half); saturation and hue go through 8-bit HSV, one after the other. Since an 8-bit channel has 256
    levels, each step is computed on a table of them and applied as a look-up.

    Args:
        brightness_delta: Largest shift of the values, of 255.
        contrast_range: Bounds of the factor of all channels.
        saturation_range: Bounds of the factor of the saturation.
        hue_delta: Largest shift of the hue, of OpenCV's 180 steps around the circle.

    Raises:
        ValueError: The image is not (H, W, 3) uint8.
    """

    def __init__(
        self,
        brightness_delta: int = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_lower, self.contrast_upper = contrast_range
        self.saturation_lower, self.saturation_upper = saturation_range
        self.hue_delta = hue_delta

    def transform(self, results: dict) -> dict:
        """Distort ``img``."""
        img = _checked(results)
        drawn = self.draw()
        table = _IDENTITY
        if drawn.brightness:
            table = _linear_table(beta=drawn.brightness)
        table = _contrast(table, drawn.early_contrast)
        if not isnan(drawn.saturation):
            img = _apply(img, table)
            table = _IDENTITY
            img = _saturate(img, drawn.saturation)
        if not isnan(drawn.hue):
            img = _apply(img, table)
            table = _IDENTITY
            img = _turn_hue(img, int(drawn.hue))
        results['img'] = _apply(img, _contrast(table, drawn.late_contrast))
        return results

    def draw(self) -> Distortion:
        """Draw what happens to one image from numpy's global state."""
        drawn = {}
        if random.randint(2):
            drawn['brightness'] = random.uniform(-self.brightness_delta, self.brightness_delta)
        contrast_first = random.randint(2) == 1
        if contrast_first:
            drawn['early_contrast'] = self._draw_contrast()
        if random.randint(2):
            drawn['saturation'] = random.uniform(self.saturation_lower, self.saturation_upper)
        if random.randint(2):
            drawn['hue'] = random.randint(-self.hue_delta, self.hue_delta)
        if not contrast_first:
            drawn['late_contrast'] = self._draw_contrast()
        return Distortion(**drawn)

    def _draw_contrast(self) -> float:
        return random.uniform(self.contrast_lower, self.contrast_upper) if random.randint(2) else 1.0

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(brightness_delta={self.brightness_delta}, '
            f'contrast_range=({self.contrast_lower}, {self.contrast_upper}), '
            f'saturation_range=({self.saturation_lower}, {self.saturation_upper}), '
            f'hue_delta={self.hue_delta})'
        )


@TRANSFORMS.register_module()
class DrawPhotoMetricDistortion(PhotoMetricDistortion):
    """``PhotoMetricDistortion`` that is only drawn: the preprocessor computes it, on its device.

    It draws the same from the same state. The training on a GPU puts it in the place of the other where nothing comes
    in between, see :mod:`mmseg.engine.captured.data`.
    """

    def transform(self, results: dict) -> dict:
        """Add ``distortion``, a :class:`mmseg.structures.Distortion` as a tuple."""
        _checked(results)
        results['distortion'] = tuple(self.draw())
        return results


def _checked(results: dict) -> np.ndarray:
    """The image, which is (H, W, 3) uint8."""
    img = results['img']
    if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
        raise ValueError(
            f'PhotoMetricDistortion takes 8-bit images (H, W, 3), {results.get("img_path")} is {img.dtype} '
            f'{img.shape}. Load it with color_type="color" and to_float32=False.'
        )
    return img


def _contrast(table: np.ndarray, factor: float) -> np.ndarray:
    return table if factor == 1 else _linear_table(alpha=factor)[table]


def _apply(img: np.ndarray, table: np.ndarray) -> np.ndarray:
    return img if table is _IDENTITY else cv2.LUT(img, table)


def _saturate(img: np.ndarray, factor: float) -> np.ndarray:
    return _through_hsv(img, 1, _linear_table(alpha=factor))


def _turn_hue(img: np.ndarray, steps: int) -> np.ndarray:
    return _through_hsv(img, 0, ((np.arange(256) + steps) % 180).astype(np.uint8))


def _through_hsv(img: np.ndarray, channel: int, table: np.ndarray) -> np.ndarray:
    hsv = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, channel), table), hsv, channel)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=hsv)


@TRANSFORMS.register_module()
class RGB2Gray(BaseTransform):
    """Weighted sum of the channels, repeated ``out_channels`` times (None: as many as there were).

    Args:
        out_channels: Number of equal channels of the result.
        weights: Weight of each input channel.
    """

    def __init__(self, out_channels=None, weights=(0.299, 0.587, 0.114)) -> None:
        if out_channels is not None and out_channels <= 0:
            raise ValueError(f'RGB2Gray: out_channels={out_channels}, expected a number > 0 or None.')
        self.out_channels = out_channels
        self.weights = tuple(weights)

    def transform(self, results: dict) -> dict:
        """Replace ``img`` by its grey version."""
        img = results['img']
        if img.ndim != 3 or img.shape[2] != len(self.weights):
            raise ValueError(f'RGB2Gray: image {img.shape} does not fit {len(self.weights)} weights.')
        grey = (img * np.array(self.weights)).sum(2, keepdims=True)
        channels = self.out_channels or img.shape[2]
        results['img'] = grey.repeat(channels, axis=2)
        results['img_shape'] = results['img'].shape  # three numbers, as upstream
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(out_channels={self.out_channels}, weights={self.weights})'


@TRANSFORMS.register_module()
class AdjustGamma(BaseTransform):
    """Gamma correction, ``255 * (x / 255) ** (1 / gamma)``, of an 8-bit image."""

    def __init__(self, gamma=1.0) -> None:
        if gamma <= 0:
            raise ValueError(f'AdjustGamma: gamma={gamma}, expected a number > 0.')
        self.gamma = gamma
        self.table = ((np.arange(256) / 255.0) ** (1.0 / gamma) * 255).astype(np.uint8)

    def transform(self, results: dict) -> dict:
        """Look ``img`` up in the table."""
        results['img'] = mmcv.lut_transform(np.array(results['img'], dtype=np.uint8), self.table)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gamma={self.gamma})'


@TRANSFORMS.register_module()
class CLAHE(BaseTransform):
    """Contrast-limited adaptive histogram equalisation of each channel (Zuiderveld 1994).

    Args:
        clip_limit: Bound of the contrast.
        tile_grid_size: Number of tiles (rows, columns).
    """

    def __init__(self, clip_limit=40.0, tile_grid_size=(8, 8)) -> None:
        if not isinstance(clip_limit, (int, float)) or clip_limit < 0:
            raise ValueError(f'CLAHE: clip_limit={clip_limit!r}, expected a number >= 0.')
        tiles = tile_grid_size if isinstance(tile_grid_size, (tuple, list)) else ()
        if len(tiles) != 2 or not all(isinstance(count, int) and count > 0 for count in tiles):
            raise ValueError(f'CLAHE: tile_grid_size={tile_grid_size!r}, expected two integers > 0.')
        self.clip_limit = clip_limit
        self.tile_grid_size = tuple(tile_grid_size)

    def transform(self, results: dict) -> dict:
        """Equalise ``img``."""
        img = results['img']
        channels = [
            mmcv.clahe(
                np.ascontiguousarray(img[:, :, i], dtype=np.uint8), self.clip_limit, self.tile_grid_size
            )
            for i in range(img.shape[2])
        ]
        results['img'] = np.stack(channels, axis=2).astype(img.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(clip_limit={self.clip_limit}, tile_grid_size={self.tile_grid_size})'


@TRANSFORMS.register_module()
class Rerange(BaseTransform):
    """Scale the image's values linearly to ``[min_value, max_value]``; an image of one value is an error."""

    def __init__(self, min_value=0, max_value=255) -> None:
        numbers = all(isinstance(value, (int, float)) for value in (min_value, max_value))
        if not numbers or min_value >= max_value:
            raise ValueError(
                f'Rerange: min_value={min_value!r}, max_value={max_value!r}, expected numbers, min < max.'
            )
        self.min_value = min_value
        self.max_value = max_value

    def transform(self, results: dict) -> dict:
        """Rerange ``img``, in float."""
        img = results['img']
        low, high = np.min(img), np.max(img)
        if low == high:
            raise ValueError(
                f'Rerange: every value of {results.get("img_path")} is {low}; an image of one value cannot be scaled. Remove it.'
            )
        # float(), since the difference would overflow 8 bits
        scaled = (img - low) / (float(high) - float(low))
        results['img'] = scaled * (self.max_value - self.min_value) + self.min_value
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_value={self.min_value}, max_value={self.max_value})'
