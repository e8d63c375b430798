"""Encoded images of every kind that the readers of mmseg and augment know, with the pixels they must give."""

import io

import cv2
import numpy as np
from PIL import Image

#: EXIF orientation to the operation that stores an upright image so.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def scene(height: int = 20, width: int = 32) -> np.ndarray:
    """An RGB image (H, W, 3) uint8 without any symmetry, in blocks that JPEG keeps nearly exact."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, :, 0] = 200
    image[:, : width // 4, 1] = 90
    image[: height // 4, : width // 3] = 255
    return image


def encode(image: np.ndarray, form: str, orientation: int = 1, **options) -> bytes:
    """``image`` (H, W[, C]), stored with an EXIF orientation, as the content of a file."""
    if form == 'JPEG':
        options = dict(quality=95, subsampling=0) | options
    if form == 'WEBP':
        options = dict(lossless=True) | options
    if orientation != 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options['exif'] = exif.tobytes()
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(STORED[orientation](image))).save(content, form, **options)
    return content.getvalue()


def encode_deep(pixels: np.ndarray, suffix: str) -> bytes:
    """16-bit grey or BGR pixels as the content of a file."""
    return cv2.imencode(suffix, pixels)[1].tobytes()


def encode_tiff(pixels: np.ndarray, **options) -> bytes:
    """Any pixels (H, W[, C]) as the content of a TIFF."""
    import tifffile

    content = io.BytesIO()
    tifffile.imwrite(content, pixels, **options)
    return content.getvalue()
