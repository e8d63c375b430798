"""EXIF orientation: which way up an image file is stored, and how to turn its pixels upright."""

import io

import numpy as np
from PIL import Image

#: EXIF's tag of the orientation; 1 is upright, 5 to 8 exchange width and height.
ORIENTATION_TAG = 0x0112

#: The first bytes of a PNG.
PNG_HEAD = b'\x89PNG\r\n\x1a\n'


def has_exif(content: bytes) -> bool:
    """Whether a JPEG, PNG or WebP has EXIF data; only its headers are read, which takes microseconds."""
    if content[:2] == b'\xff\xd8':
        return _jpeg_has_exif(content)
    if content[:8] == PNG_HEAD:
        return _png_has_exif(content)
    return content[12:16] == b'VP8X' and bool(content[20] & 0x08)


def _jpeg_has_exif(content: bytes) -> bool:
    place = 2
    while place + 8 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xDA:  # the pixels begin
            return False
        if marker == 0xE1 and content[place + 4 : place + 8] == b'Exif':
            return True
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return False


def _png_has_exif(content: bytes) -> bool:
    place = len(PNG_HEAD)
    while place + 8 <= len(content):
        kind = content[place + 4 : place + 8]
        if kind in (b'eXIf', b'IEND'):
            return kind == b'eXIf'
        place += 12 + int.from_bytes(content[place : place + 4])
    return False


def orientation_of(content: bytes) -> int:
    """EXIF orientation of an encoded image that is no TIFF, 1 to 8; 1 where it has none."""
    if not has_exif(content):
        return 1
    try:
        with Image.open(io.BytesIO(content)) as image:
            return valid_orientation(image.getexif().get(ORIENTATION_TAG, 1))
    except (OSError, SyntaxError, ValueError):  # the decoder of the pixels decides whether the file is usable
        return 1


def valid_orientation(orientation: object) -> int:
    """``orientation`` where it is one of EXIF's, else 1."""
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The upright form of an image or label map ``(H, W[, C])`` as stored with an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
