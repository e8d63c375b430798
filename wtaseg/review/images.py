"""Images as a browser can show them, and labels of the size of their image."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from augment.dataset.reading import IGNORED, check_label, decode_label, upright_label
from mmseg.datasets.image_files import follows_rules, is_tiff, read_header
from mmseg.datasets.orientation import orientation_of
from mmseg.visualization.display import decode_for_display

# formats that browsers decode to the same values as the project does
_SHOWN = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.webp': 'image/webp'}
_PNG_LEVEL = 1  # compression costs more time than it saves on the loopback interface


def shown_image(path: Path, value_range: Sequence[float] | None = None) -> tuple[bytes, str]:
    """Content and media type of an image for the browser.

    Args:
        path: of the image, of any kind that training reads.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits.

    Raises:
        FileNotFoundError, ValueError: it is missing or no image.
    """
    content = path.read_bytes()
    kind = _SHOWN.get(path.suffix.lower())
    if kind is not None and not follows_rules(content) and _header(path).mode in ('L', 'RGB'):
        return content, kind
    pixels = decode_for_display(content, str(path), value_range)
    encoded = cv2.imencode('.png', pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])[1]
    return encoded.tobytes(), _SHOWN['.png']


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright image; raises as :func:`shown_image`."""
    return _header(path).size


def read_label(path: Path, image: Path, num_classes: int) -> np.ndarray:
    """Class ids ``(H, W)`` uint8 of the label of an upright image; all 0 where there is no file.

    Raises:
        ValueError: the label is no index image, of another size than the image, or has ids of no class.
    """
    size = image_size(image)
    if not path.is_file():
        return np.zeros(size, np.uint8)
    try:
        ids = upright_label(decode_label(path.read_bytes()), size, _header(image).orientation)
        check_label(ids, size)
        check_ids(ids, num_classes)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return ids


def check_ids(ids: np.ndarray, num_classes: int) -> None:
    """Raises ``ValueError`` where class ids ``(H, W)`` uint8 are neither below ``num_classes`` nor 255."""
    present = np.bincount(ids.ravel(), minlength=256)[:IGNORED]
    unknown = (np.flatnonzero(present[num_classes:]) + num_classes).tolist()
    if unknown:
        raise ValueError(
            f'holds {", ".join(map(str, unknown[:5]))}, expected 0..{num_classes - 1} or 255; name all classes with '
            '--classes'
        )


@dataclass(frozen=True)
class _Header:
    """(height, width) of the upright image, EXIF orientation, and PIL's name of the pixel format."""

    size: tuple[int, int]
    orientation: int
    mode: str


def _header(path: Path) -> _Header:
    status = path.stat()
    return _read_header(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _read_header(path: Path, _changed: int, _length: int) -> _Header:
    """Of the file as it was at that time. The pixels are not decoded, as PIL does it to find the EXIF data of a PNG."""
    content = path.read_bytes()
    try:
        if is_tiff(content):
            head = read_header(path)
            return _Header(head.size[::-1], head.orientation, head.mode)
        with Image.open(io.BytesIO(content)) as image:
            (width, height), mode = image.size, image.mode
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f'{path}: can not be read as an image ({error}); replace or remove it') from None
    orientation = orientation_of(content)
    return _Header((width, height) if orientation > 4 else (height, width), orientation, mode)
