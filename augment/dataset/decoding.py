"""Decode image files by the rules that training has too: upright, three channels, 8 bits.

EXIF orientation is applied; grey is repeated, palettes and CMYK are converted, transparency is dropped; images of more
than 8 bits are scaled to 0..255 from a given range, or from the least and greatest value of each file.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Endings of image files, compared in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')

_ORIENTATION = 0x0112
_PNG_HEAD = b'\x89PNG\r\n\x1a\n'
_TIFF_HEADS = (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+')


def open_image(content: bytes) -> Image.Image:
    """The image as stored; ``ValueError`` when the bytes are no image or are truncated."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'cannot be decoded ({error}); replace the file') from error
    return image


def orientation_of(content: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 for a TIFF, which is turned when it is decoded."""
    if content[:4] in _TIFF_HEADS:
        return 1
    value = Image.open(io.BytesIO(content)).getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The upright form of pixels ``(H, W[, C])`` as stored with an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def decode_image(content: bytes, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 RGB of an image file, upright.

    Args:
        content: of the file.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits; None: those of the file.

    Raises:
        ValueError: the bytes are no image, or have channels that are no colours.
    """
    if content[:8] == _PNG_HEAD and content[24] > 8:
        pixels = _decode_deep(content)
        return scale(turn_upright(pixels, orientation_of(content)), value_range)
    if content[:4] in _TIFF_HEADS:
        return _decode_tiff(content, value_range)
    return np.array(ImageOps.exif_transpose(open_image(content)).convert('RGB'))


def _decode_tiff(content: bytes, value_range: Sequence[float] | None) -> np.ndarray:
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages[0]
            kind, samples, dtype = page.photometric, page.samplesperpixel, page.dtype
            kinds = tifffile.PHOTOMETRIC
            photograph = samples == 1 or kind in (kinds.RGB, kinds.SEPARATED, kinds.YCBCR)
            if samples > 4 or (samples > 2 and not photograph):
                raise ValueError(
                    f'has {samples} channels; expected grey or colour, which Stable Diffusion edits: convert the file'
                )
            if dtype == np.uint8:
                return np.array(ImageOps.exif_transpose(open_image(content)).convert('RGB'))
            if dtype == np.uint16 and photograph:
                return scale(_decode_deep(content), value_range)
            pixels = page.asarray()
            pixels = np.moveaxis(pixels, page.axes.index('S'), -1) if 'S' in page.axes else pixels
            turned = turn_upright(pixels, page.tags.valueof(_ORIENTATION, 1))
    except (tifffile.TiffFileError, ImportError, RuntimeError) as error:
        raise ValueError(f'cannot be decoded ({error}); replace the file') from error
    return scale(_three_channels(turned), value_range)


def _decode_deep(content: bytes) -> np.ndarray:
    """RGB pixels of more than 8 bits; PIL would reduce those of colour to 8."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError('cannot be decoded; replace the file')
    pixels = _three_channels(pixels)
    return pixels[..., ::-1]


def _three_channels(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] < 3:
        pixels = pixels[..., 0]
    return np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 2 else pixels[..., :3]


def scale(pixels: np.ndarray, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Values scaled linearly from ``value_range`` to 0..255 and rounded, uint8; None: from their own range.

    Raises:
        ValueError: a value is not finite.
    """
    low, high = (pixels.min(), pixels.max()) if value_range is None else value_range
    low, high = float(low), float(high)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError('holds values that are not finite; replace the file')
    scaled = (pixels.astype(np.float64) - low) * (255 / max(high - low, 1e-12)) + 0.5
    return np.clip(scaled, 0, 255).astype(np.uint8)
