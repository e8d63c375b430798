"""Values of images of more than 8 bits or more than three channels: range, mean and standard deviation."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mmseg.datasets.image_files import decode_image

from .images import SourceImage

_LEAST_BITS, _MOST_BITS = 9, 16


def find_value_range(images: Iterable[SourceImage]) -> tuple[float, float] | None:
    """(0, 2^b - 1) for the least number of bits b that holds every value of the integer images of more than 8 bits.

    12-bit data in 16-bit files thus gives (0, 4095). None without such images, or where values are negative, beyond 16
    bits or fractions: then a range must be given.

    Raises:
        ValueError: the values of a deep image can not be told.
    """
    top = 0.0
    deep = [image for image in images if image.header.bits > 8]
    for image in deep:
        pixels = read_deep(image.path)
        if pixels.dtype.kind == 'f' or pixels.min() < 0 or pixels.max() >= 2**_MOST_BITS:
            raise ValueError(
                f'{image.path}: has {pixels.dtype} values {pixels.min():g}..{pixels.max():g}; say with --value-range '
                'LOW HIGH what becomes black and white'
            )
        top = max(top, float(pixels.max()))
    if not deep:
        return None
    bits = max(_LEAST_BITS, int(np.ceil(np.log2(top + 1))))
    return (0, 2**bits - 1)


def read_deep(path: Path) -> np.ndarray:
    """Pixels ``(H, W[, C])`` of an image of more than 8 bits, not scaled.

    Raises:
        ValueError: the file can not be decoded.
    """
    try:
        pixels = decode_image(path.read_bytes(), 'unchanged', keep_depth=True)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if pixels is None:
        raise ValueError(f'{path}: can not be decoded; replace or remove it')
    return pixels


def channel_statistics(
    images: Sequence[SourceImage], value_range: Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of the file, after scaling to 0..255, rounded to two decimals.

    Raises:
        ValueError: images have different numbers of channels; names one of each.
    """
    sums = squares = 0.0
    count = 0
    first: tuple[int, Path] | None = None
    for image in images:
        pixels = decode_image(image.path.read_bytes(), 'unchanged', value_range)
        if pixels is None:
            raise ValueError(f'{image.path}: can not be decoded; replace or remove it')
        pixels = np.atleast_3d(pixels).reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1)
        first = first or (pixels.shape[1], image.path)
        if pixels.shape[1] != first[0]:
            raise ValueError(
                f'--all-channels: {first[1]} has {first[0]} channels, {image.path} has {pixels.shape[1]}; '
                'all images need the same number'
            )
        values = pixels.astype(np.float64)
        sums, squares, count = sums + values.sum(0), squares + (values**2).sum(0), count + len(values)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return tuple(np.round(mean, 2).tolist()), tuple(np.round(std, 2).tolist())
