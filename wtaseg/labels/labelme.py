"""Label maps of LabelMe files."""

import base64
import io
from pathlib import Path, PureWindowsPath

import numpy as np
from PIL import Image

from .annotations import brief, image_size, is_clipped, objects, paste_mask, points_of
from .classes import ClassTable, ConversionError
from .shapes import draw_line, fill_circle, fill_polygon
from .writing import LabelMap


def labelme_name(path: Path, content: dict) -> str:
    """Name of the label file without suffix: that of the annotated image.

    Raises:
        ConversionError: ``imagePath`` is no file name.
    """
    image = content.get('imagePath')
    if image is not None and not isinstance(image, str):
        raise ConversionError(
            f'{path}: imagePath is {brief(image)}, expected the name of the image. Correct it.'
        )
    name = PureWindowsPath(image).stem if image else path.stem
    if name in ('', '.', '..') or '\0' in name:
        raise ConversionError(f'{path}: imagePath {image!r} names no file, expected an image. Correct it.')
    return name


def labelme_ids(path: Path, content: dict, classes: ClassTable, line_width: int | None = None) -> LabelMap:
    """Label map ``(H, W)`` uint8 of a LabelMe file; later shapes overwrite earlier ones.

    Args:
        path: the file, for messages.
        content: its JSON.
        classes: class names and ids.
        line_width: width of lines in pixels; None refuses them.

    Raises:
        ConversionError: a class name is unknown, or a shape has no area or lies outside the image.
    """
    size = image_size(path, content.get('imageHeight'), content.get('imageWidth'), 'imageHeight x imageWidth')
    labels = np.zeros(size, np.uint8)
    clipped = 0
    for number, shape in enumerate(objects(path, {'shapes': [], **content}, 'shapes'), 1):
        value = classes.id_of_label(str(shape.get('label')), str(path))
        kind = shape.get('shape_type') or 'polygon'
        what = f'shape {number} ({kind} {shape.get("label")!r})'
        clipped += _draw_shape(path, labels, shape, what, value, line_width)
    return LabelMap(labels, clipped)


def _draw_shape(
    path: Path, labels: np.ndarray, shape: dict, what: str, value: int, line_width: int | None
) -> bool:
    """Draw one shape of LabelMe; returns whether it was clipped."""
    kind, points = shape.get('shape_type') or 'polygon', shape.get('points')
    if kind == 'polygon':
        corners = points_of(path, points, 3, what)
        clipped = is_clipped(path, labels, corners, what)
        fill_polygon(labels, corners, value)
    elif kind == 'rectangle':
        low, high = np.sort(points_of(path, points, 2, what)[:2], axis=0)
        corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        clipped = is_clipped(path, labels, corners, what)
        fill_polygon(labels, corners, value)
    elif kind == 'circle':
        centre, edge = points_of(path, points, 2, what)[:2]
        radius = float(np.hypot(*(edge - centre)))
        clipped = is_clipped(path, labels, np.array([centre - radius, centre + radius]), what)
        fill_circle(labels, centre, radius, value)
    elif kind in ('line', 'linestrip') and line_width:
        corners = points_of(path, points, 2, what)
        clipped = is_clipped(path, labels, corners, what)
        draw_line(labels, corners, line_width, value)
    elif kind == 'mask':
        clipped = _paste_mask(path, labels, shape, what, value)
    else:
        lines = 'line' in str(kind)
        remedy = 'give the width of lines with --line-width' if lines else 'redraw it as a polygon'
        raise ConversionError(f'{path}: {what} has no area; {remedy}.')
    return clipped


def _paste_mask(path: Path, labels: np.ndarray, shape: dict, what: str, value: int) -> bool:
    """Draw a mask at its place, which may lie partly outside; returns whether it was clipped."""
    x, y = points_of(path, shape.get('points'), 1, what)[0].astype(int)
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape['mask']))) as image:
            mask = np.array(image) > 0
        if mask.ndim != 2:
            raise ValueError(f'it has {mask.ndim} dimensions, expected one value per pixel')
    except (KeyError, TypeError, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConversionError(f'{path}: the mask of {what} can not be used ({error}). Redraw it.') from None
    return paste_mask(path, labels, mask, (int(x), int(y)), what, value)
