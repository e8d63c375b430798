"""``PhotoMetricDistortion`` as operations on tensors, for a whole batch on its device.

The values are those of the transform, which computes in 8 bits: hue and saturation go through OpenCV's 8-bit HSV, hue of
180 steps. Nothing depends on values, so that it can be part of a CUDA graph.
"""

import torch
from torch import Tensor

from mmseg.structures import Distortion

_HUES = 180
_SECTOR = _HUES // 6
# OpenCV divides by fixed-point reciprocals of this many bits
_SHIFT = 12
_HALF = 1 << (_SHIFT - 1)


def distort(images: Tensor, parameters: Tensor) -> Tensor:
    """Distort each image of a batch.

    Args:
        images: (N, 3, H, W), uint8, in the order blue, green, red.
        parameters: (N, 5), float32; a row is a :class:`mmseg.structures.Distortion`.

    Returns:
        (N, 3, H, W), float32, with whole numbers from 0 to 255.
    """
    drawn = Distortion(*(column.view(-1, 1, 1, 1) for column in parameters.unbind(1)))
    pixels = _clipped(images.float() + drawn.brightness)
    pixels = _clipped(pixels * drawn.early_contrast)
    hue, saturation, value = _to_hsv(pixels)
    changed = _clipped(saturation * drawn.saturation.nan_to_num(1.0))
    pixels = torch.where(drawn.saturation.isnan(), pixels, _to_bgr(hue, changed, value))
    hue, saturation, value = _to_hsv(pixels)
    turned = torch.remainder(hue + drawn.hue.nan_to_num(0.0), _HUES)
    pixels = torch.where(drawn.hue.isnan(), pixels, _to_bgr(turned, saturation, value))
    return _clipped(pixels * drawn.late_contrast)


def _clipped(values: Tensor) -> Tensor:
    """As numpy converts to uint8 after clipping: truncated."""
    return values.clamp(0, 255).floor()


def _to_hsv(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue 0 to 179, saturation and value 0 to 255, each (N, 1, H, W), of whole numbers in float32."""
    blue, green, red = pixels.int().split(1, dim=1)
    value = pixels.amax(1, keepdim=True)
    largest = value.int()
    spread = largest - torch.minimum(torch.minimum(blue, green), red)
    saturation = _divided(spread, 255.0, largest)
    hue = torch.where(
        largest == red,
        green - blue,
        torch.where(largest == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = _divided(hue, _SECTOR, spread)
    hue = torch.where(hue < 0, hue + _HUES, hue)
    return hue.float(), saturation.float(), value


def _divided(numerator: Tensor, factor: float, denominator: Tensor) -> Tensor:
    """``numerator · factor / denominator`` in whole numbers, by a rounded reciprocal; 0 where the denominator is 0."""
    reciprocal = torch.round(factor * (1 << _SHIFT) / denominator.clamp(min=1).float()).int()
    return (numerator * reciprocal + _HALF) >> _SHIFT


def _to_bgr(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Blue, green and red (N, 3, H, W), whole numbers in float32."""
    # OpenCV's steps, in its order: it truncates at the end
    position = hue * (1 / _SECTOR)
    sector = position.floor()
    fraction = position - sector
    saturation, value = saturation * (1 / 255), value * (1 / 255)
    # in each sector one channel is the value, one the least, and one between them
    least = value * (1 - saturation)
    falling = value * (1 - saturation * fraction)
    rising = value * (1 - saturation * (1 - fraction))
    sector = torch.remainder(sector, 6)
    choose = torch.where
    red = choose(
        (sector == 0) | (sector == 5), value, choose(sector == 1, falling, choose(sector == 4, rising, least))
    )
    green = choose(
        (sector == 1) | (sector == 2), value, choose(sector == 0, rising, choose(sector == 3, falling, least))
    )
    blue = choose(
        (sector == 3) | (sector == 4), value, choose(sector == 2, rising, choose(sector == 5, falling, least))
    )
    return (torch.cat([blue, green, red], dim=1) * 255).floor()
