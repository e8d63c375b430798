"""What LabelMe, COCO and CVAT files have in common: JSON, names, sizes, points; every error names the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from wtaseg.io import relative_inside

from .classes import ConversionError
from .documents import read_bytes

#: Most pixels of an image; what Pillow refuses as a decompression bomb.
MAX_PIXELS = 178_956_970
#: Largest coordinate of a point, in pixels.
FARTHEST = 1e7


def load_json(path: Path) -> dict:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ConversionError: the file is not a JSON object.
    """
    return parse_json(path, read_bytes(path))


def parse_json(path: Path, encoded: bytes) -> dict:
    """The JSON object that the content of a file encodes.

    Raises:
        ConversionError: it is not a JSON object.
    """
    try:
        content = json.loads(encoded.decode('utf-8-sig'))
    except RecursionError:
        raise ConversionError(f'{path}: is nested too deep, expected annotations. Export it again.') from None
    except ValueError as error:
        raise ConversionError(f'{path}: is no valid JSON ({error}). Export it again.') from None
    if not isinstance(content, dict):
        raise ConversionError(
            f'{path}: holds a {type(content).__name__}, expected an object. Export it again.'
        )
    return content


def image_size(path: Path, height: Any, width: Any, what: str) -> tuple[int, int]:
    """Height and width as given in a file.

    Raises:
        ConversionError: they are not positive integers, or too large.
    """
    if not all(type(side) is int and side > 0 for side in (height, width)):
        raise ConversionError(
            f'{path}: {what} is {height!r} x {width!r}, expected two positive integers. Export again with the image '
            'size.'
        )
    if height * width > MAX_PIXELS:
        raise ConversionError(
            f'{path}: {what} is {height} x {width}, expected at most {MAX_PIXELS} pixels. Correct the size, or '
            'cut the image into tiles.'
        )
    return height, width


def label_name(path: Path, what: str, key: str, file_name: Any) -> str:
    """Name of a label file without suffix, from the file name of its image: a path that stays below the output folder.

    Raises:
        ConversionError: it is no name, or points outside.
    """
    if not isinstance(file_name, str) or not file_name.strip():
        raise ConversionError(
            f'{path}: {what} has the {key} {brief(file_name)}, expected the name of a file. Export it again.'
        )
    try:
        return relative_inside(file_name.replace('\\', '/')).with_suffix('').as_posix()
    except ValueError as error:
        raise ConversionError(
            f'{path}: {key} {file_name!r} of {what} {error}; make it a relative path.'
        ) from None


def objects(path: Path, content: dict, key: str) -> list[dict]:
    """The list of objects under a key.

    Raises:
        ConversionError: there is none.
    """
    values = content.get(key)
    wrong = [values] if not isinstance(values, list) else [v for v in values if not isinstance(v, dict)]
    if wrong:
        raise ConversionError(
            f'{path}: {key} is or holds {brief(wrong[0])}, expected a list of objects. Export it again.'
        )
    return values


def brief(value: Any) -> str:
    """A value for a message, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def points_of(path: Path, points, least: int, what: str) -> np.ndarray:
    """Points ``(N, 2)`` as (x, y).

    Raises:
        ConversionError: fewer than ``least``, or no finite numbers.
    """
    try:
        array = np.asarray(points, float).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        array = np.empty((0, 2))
    if len(array) < least or not (np.abs(array) <= FARTHEST).all():
        raise ConversionError(
            f'{path}: {what} has {len(array)} usable points, expected at least {least} of (x, y) '
            f'within {FARTHEST:g} pixels. '
            'Correct or delete the shape in the annotation program.'
        )
    return array


def is_clipped(path: Path, labels: np.ndarray, corners: np.ndarray, what: str) -> bool:
    """Whether a shape of these corners ``(N, 2)`` reaches beyond the image by a pixel or more.

    Raises:
        ConversionError: it lies outside as a whole.
    """
    size = np.array(labels.shape[::-1])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (high < 0).any() or (low >= size).any():
        box = f'({low[0]:g}, {low[1]:g}) to ({high[0]:g}, {high[1]:g})'
        raise ConversionError(
            f'{path}: {what} lies outside the image: {box}, expected inside {size[0]} x {size[1]}. Move or delete it, '
            'or correct the size of the image.'
        )
    return bool((low <= -1).any() or (high >= size + 1).any())


def paste_mask(
    path: Path, labels: np.ndarray, mask: np.ndarray, place: tuple[int, int], what: str, value: int
) -> bool:
    """Set the pixels of a mask ``(h, w)`` in ``labels``; returns whether it was clipped at the image's border.

    Args:
        path: the file, for messages.
        labels: class ids ``(H, W)``, changed in place.
        mask: bool.
        place: (x, y) of its upper left corner; it may lie partly outside the image.
        what: the shape, for messages.
        value: class id to set.

    Raises:
        ConversionError: the mask is empty, or lies outside the image as a whole.
    """
    x, y = place
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ConversionError(f'{path}: the mask of {what} is empty, expected pixels. Redraw or delete it.')
    first, last = np.array([x + columns[0], y + rows[0]]), np.array([x + columns[-1], y + rows[-1]])
    size = np.array(labels.shape[::-1])
    if (last < 0).any() or (first >= size).any():
        raise ConversionError(
            f'{path}: the mask of {what} at ({x}, {y}) lies outside the image of {size[0]} x {size[1]}. Redraw it.'
        )
    top, left = max(0, -y), max(0, -x)
    window = labels[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    window[mask[top : top + window.shape[0], left : left + window.shape[1]]] = value
    return bool((first < 0).any() or (last >= size).any())
