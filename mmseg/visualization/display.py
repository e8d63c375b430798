"""Images of any kind as three channels of 8 bits, to draw on."""

from collections.abc import Sequence

import numpy as np

from mmseg.datasets.image_files import decode_image, scale_to_8_bits


def to_display(pixels: np.ndarray) -> np.ndarray:
    """What a loader made of an image, ``(H, W[, C])`` in BGR order, as ``(H, W, 3)`` uint8 RGB.

    Of more than three channels the first three are taken, fewer are repeated; other types than uint8 are scaled by
    their least and greatest value.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray((pixels if pixels.dtype == np.uint8 else scale_to_8_bits(pixels))[..., ::-1])


def decode_for_display(
    content: bytes, name: str = 'the file', value_range: Sequence[float] | None = None
) -> np.ndarray:
    """An encoded image, upright, as ``(H, W, 3)`` uint8 RGB.

    Args:
        content: of the file.
        name: of the file, for the message.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits.

    Raises:
        ValueError: it is no image; names it ``name``.
    """
    try:
        pixels = decode_image(content, 'color', value_range)
    except ValueError:  # many channels
        pixels = decode_image(content, 'unchanged', value_range)
    if pixels is None:
        raise ValueError(f'{name}: not a readable image')
    return to_display(pixels)
