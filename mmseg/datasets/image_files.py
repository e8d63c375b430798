"""Image files by stated rules: which files are images, which way up they are, how many bits and channels they have.

The rules, for training, testing, prediction and the dataset check alike:

- Names: ``.jpg .jpeg .png .bmp .tif .tiff .webp`` in any case; two images of one stem are an error.
- EXIF orientation: the image is turned upright; a label map belongs to the upright image. A label map that fits only
  the image as stored is turned with it.
- Channels (``color_type='color'``): grey is repeated, a palette and CMYK are converted, transparency is dropped.
  ``'unchanged'`` keeps every channel of the file.
- More than 8 bits: scaled linearly to 0..255 from ``value_range``, or without it from the least and greatest value of
  each file. Images of 8 bits are never scaled.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import cv2
import mmcv
import numpy as np
from PIL import Image, ImageOps

from .orientation import ORIENTATION_TAG, PNG_HEAD, orientation_of, turn_upright, valid_orientation

#: Endings of image files, compared in lower case.
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')

_TIFF_HEADS = (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+')
#: Bits per value by PIL's mode; all others have 8.
_MODE_BITS = {'1': 1, 'I': 32, 'F': 32}
_RULES_APPLY_TO = ('color', 'grayscale', 'unchanged')


def match_images(names: Iterable[str], suffix: str | Sequence[str] | None = None) -> dict[str, str]:
    """Stem to name of the images among ``names``, sorted by name.

    Args:
        names: relative paths of files.
        suffix: their exact ending, or several; None: every ending of :data:`IMAGE_SUFFIXES` in any case.

    Raises:
        ValueError: two images have the same stem; names both.
    """
    images: dict[str, str] = {}
    for name in sorted(names):
        stem = image_stem(name, suffix)
        if stem is None:
            continue
        if stem in images:
            raise ValueError(
                f'{images[stem]} and {name} have the same stem, so they would share one label map: rename or remove one.'
            )
        images[stem] = name
    return images


def image_stem(name: str, suffix: str | Sequence[str] | None = None) -> str | None:
    """``name`` without its ending where it ends as an image does, else None; arguments as in :func:`match_images`."""
    if suffix is None:
        ending = PurePath(name).suffix
        return name.removesuffix(ending) if ending.lower() in IMAGE_SUFFIXES else None
    endings = (suffix,) if isinstance(suffix, str) else suffix
    return next((name.removesuffix(ending) for ending in endings if name.endswith(ending)), None)


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says about itself without its pixels.

    Attributes:
        size: (width, height) of the upright image.
        stored_size: (width, height) as stored.
        orientation: EXIF's, 1 to 8.
        bits: per value.
        channels: in the file, transparency included; 3 for a palette.
        mode: PIL's name of the pixel format; of a TIFF of several channels its photometric interpretation.
        pages: of a TIFF; only the first is read.
    """

    size: tuple[int, int]
    stored_size: tuple[int, int]
    orientation: int
    bits: int
    channels: int
    mode: str
    pages: int = 1


def is_tiff(content: bytes) -> bool:
    """Whether the content of a file is a TIFF."""
    return content[:4] in _TIFF_HEADS


def read_header(path: str | Path) -> ImageHeader:
    """The header of an image file.

    Raises:
        OSError, SyntaxError, ValueError: the file is missing or no image.
    """
    with Path(path).open('rb') as file:
        start = file.read(32)
    if is_tiff(start):
        return _tiff_header(Path(path))
    try:
        with Image.open(path) as image:
            size, mode, bands = image.size, image.mode, len(image.getbands())
            orientation = valid_orientation(image.getexif().get(ORIENTATION_TAG, 1))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    bits = start[24] if start[:8] == PNG_HEAD else 16 if '16' in mode else _MODE_BITS.get(mode, 8)
    upright_size = size[::-1] if orientation > 4 else size
    return ImageHeader(upright_size, size, orientation, bits, 3 if mode == 'P' else bands, mode)


def _tiff_header(path: Path) -> ImageHeader:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        orientation = valid_orientation(page.tags.valueof(ORIENTATION_TAG, 1))
        size = (page.imagewidth, page.imagelength)
        bits, channels = page.bitspersample, page.samplesperpixel
        mode = str(getattr(page.photometric, 'name', page.photometric))
        if mode == 'PALETTE':
            mode, channels = 'P', 3
        elif channels == 1:
            mode = {1: '1', 8: 'L', 16: 'I;16'}.get(bits, 'I')
        upright_size = size[::-1] if orientation > 4 else size
        return ImageHeader(upright_size, size, orientation, bits, channels, mode, len(file.pages))


def scale_to_8_bits(pixels: np.ndarray, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Values scaled linearly from ``value_range`` to 0..255 and rounded, uint8 of the same shape.

    Values outside the range become 0 or 255.

    Args:
        pixels: integers or floating-point numbers.
        value_range: (low, high); None: the least and greatest value of ``pixels``.

    Raises:
        ValueError: a value is not finite, or the range is empty.
    """
    low, high = (pixels.min(), pixels.max()) if value_range is None else value_range
    low, high = float(low), float(high)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError('it holds values that are not finite')
    if value_range is not None and high <= low:
        raise ValueError(f'value_range={tuple(value_range)}, expected (low, high) with low < high')
    scale = 255 / max(high - low, 1e-12)
    if pixels.dtype == np.uint16:  # one table for all pixels
        values = np.arange(1 << 16, dtype=np.float64)
        return np.clip((values - low) * scale + 0.5, 0, 255).astype(np.uint8)[pixels]
    return np.clip((pixels.astype(np.float64) - low) * scale + 0.5, 0, 255).astype(np.uint8)


def follows_rules(content: bytes) -> bool:
    """Whether a file needs more than its decoder: it is turned, a TIFF, or has more than 8 bits."""
    deep_png = content[:8] == PNG_HEAD and content[24] > 8
    return deep_png or is_tiff(content) or orientation_of(content) != 1


def decode_image(
    content: bytes,
    color_type: str = 'color',
    value_range: Sequence[float] | None = None,
    keep_depth: bool = False,
) -> np.ndarray | None:
    """Pixels of an encoded image by the rules of this module; None where OpenCV can not decode it.

    An ordinary image of 8 bits is exactly what ``mmcv.imfrombytes(content, color_type)`` returns.

    Args:
        content: of the file.
        color_type: ``'color'``: uint8 ``(H, W, 3)`` in BGR; ``'grayscale'``: ``(H, W)``; ``'unchanged'``: all
            channels of the file; mmcv's other flags are passed to mmcv.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits.
        keep_depth: return the values of such images as they are.

    Raises:
        ValueError: a TIFF has channels that ``color_type`` can not take, or is compressed in an unsupported way.
    """
    if color_type not in _RULES_APPLY_TO or not follows_rules(content):
        return mmcv.imfrombytes(content, flag=color_type, backend='cv2')
    if is_tiff(content):
        pixels = _decode_tiff(content, color_type)
    else:
        stored = _decode_stored(content, color_type)
        pixels = None if stored is None else turn_upright(stored, orientation_of(content))
    if pixels is None or pixels.dtype == np.uint8:
        return pixels
    pixels = _as_color_type(pixels, color_type)
    return pixels if keep_depth else scale_to_8_bits(pixels, value_range)


def _decode_stored(content: bytes, color_type: str) -> np.ndarray | None:
    """As stored, not turned; more than 8 bits are kept."""
    if content[:8] == PNG_HEAD and content[24] > 8:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    flag = color_type if color_type == 'unchanged' else f'{color_type}_ignore_orientation'
    return mmcv.imfrombytes(content, flag=flag, backend='cv2')


def _decode_tiff(content: bytes, color_type: str) -> np.ndarray | None:
    """An upright TIFF; OpenCV decodes those of a usual photograph and turns them itself."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        kinds = tifffile.PHOTOMETRIC
        samples = page.samplesperpixel
        photograph = samples == 1 or page.photometric in (kinds.RGB, kinds.SEPARATED, kinds.YCBCR)
        photograph = photograph and samples <= 4
        if page.photometric == kinds.RGB and samples == 4 and page.dtype == np.uint8:
            return _as_color_type(_decode_transparent_tiff(content), color_type)
        if photograph and page.dtype == np.uint8:
            return mmcv.imfrombytes(content, flag=color_type, backend='cv2')
        if photograph and page.dtype == np.uint16:
            return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if samples > 2 and color_type != 'unchanged' and not photograph:
            raise ValueError(
                f'it has {samples} channels; train on all of them with color_type="unchanged" in LoadImageFromFile '
                'and in_channels in the backbone'
            )
        try:
            pixels = page.asarray()
        except (ValueError, ImportError, RuntimeError) as error:
            raise ValueError(f'{error}; save the TIFF without compression, or with deflate') from error
        if 'S' in page.axes:
            pixels = np.moveaxis(pixels, page.axes.index('S'), -1)
        if page.photometric == kinds.RGB and pixels.ndim == 3:
            pixels = np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], -1)
        pixels = turn_upright(pixels, valid_orientation(page.tags.valueof(ORIENTATION_TAG, 1)))
        return _as_color_type(pixels, color_type) if pixels.dtype == np.uint8 else pixels


def _decode_transparent_tiff(content: bytes) -> np.ndarray:
    """BGRA of a TIFF of 8 bits, whose colours OpenCV would darken by their transparency."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.array(ImageOps.exif_transpose(image).convert('RGBA'))
    except (OSError, SyntaxError) as error:
        raise ValueError(f'the TIFF can not be decoded ({error})') from None
    return pixels[..., [2, 1, 0, 3]]


def _as_color_type(pixels: np.ndarray, color_type: str) -> np.ndarray:
    """Pixels ``(H, W[, C])`` as three channels, or as grey."""
    if color_type == 'unchanged':
        return pixels
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] < 3 else pixels[..., :3]
    if color_type == 'grayscale':
        return pixels if pixels.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2GRAY)
    return np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 2 else pixels
