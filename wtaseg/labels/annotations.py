"""Label maps of LabelMe and COCO annotation files."""

import base64
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from PIL import Image

from .classes import IGNORE_ID, ClassTable, ConversionError
from .shapes import decode_rle, draw_line, fill_circle, fill_polygon


def load_json(path: Path) -> dict:
    """The content of a JSON file.

    Raises:
        ConversionError: the file is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConversionError(f'{path}: is no valid JSON ({error}). Export it again.') from None
    if not isinstance(content, dict):
        raise ConversionError(
            f'{path}: holds a {type(content).__name__}, expected an object. Export it again.'
        )
    return content


def _size(path: Path, height, width, what: str) -> tuple[int, int]:
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise ConversionError(f'{path}: {what} is {height} x {width}. Export again with the image size.')
    return height, width


def _points(path: Path, points, least: int, what: str) -> np.ndarray:
    try:
        array = np.asarray(points, float).reshape(-1, 2)
    except (TypeError, ValueError):
        array = np.empty((0, 2))
    if len(array) < least or not np.isfinite(array).all():
        raise ConversionError(
            f'{path}: {what} has {len(array)} usable points, expected at least {least} of (x, y). '
            'Correct or delete the shape in the annotation program.'
        )
    return array


# --- LabelMe ---


def labelme_name(path: Path, content: dict) -> str:
    """Name of the label file without suffix: that of the annotated image."""
    image = content.get('imagePath')
    return PureWindowsPath(image).stem if image else path.stem


def labelme_ids(path: Path, content: dict, classes: ClassTable, line_width: int | None = None) -> np.ndarray:
    """Label map ``(H, W)`` uint8 of a LabelMe file; later shapes overwrite earlier ones.

    Args:
        path: the file, for messages.
        content: its JSON.
        classes: class names and ids.
        line_width: width of lines in pixels; None refuses them.

    Raises:
        ConversionError: a class name is unknown, or a shape has no area.
    """
    size = _size(path, content.get('imageHeight'), content.get('imageWidth'), 'imageHeight x imageWidth')
    labels = np.zeros(size, np.uint8)
    for number, shape in enumerate(content.get('shapes', []), 1):
        value = classes.id_of_label(str(shape.get('label')), str(path))
        kind = shape.get('shape_type') or 'polygon'
        what = f'shape {number} ({kind} {shape.get("label")!r})'
        if kind == 'polygon':
            fill_polygon(labels, _points(path, shape.get('points'), 3, what), value)
        elif kind == 'rectangle':
            low, high = np.sort(_points(path, shape.get('points'), 2, what)[:2], axis=0)
            box = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
            fill_polygon(labels, box, value)
        elif kind == 'circle':
            centre, edge = _points(path, shape.get('points'), 2, what)[:2]
            fill_circle(labels, centre, float(np.hypot(*(edge - centre))), value)
        elif kind in ('line', 'linestrip') and line_width:
            draw_line(labels, _points(path, shape.get('points'), 2, what), line_width, value)
        elif kind == 'mask':
            _paste_mask(path, labels, shape, what, value)
        else:
            remedy = (
                'give the width of lines with --line-width' if 'line' in kind else 'redraw it as a polygon'
            )
            raise ConversionError(f'{path}: {what} has no area; {remedy}.')
    return labels


def _paste_mask(path: Path, labels: np.ndarray, shape: dict, what: str, value: int) -> None:
    x, y = _points(path, shape.get('points'), 1, what)[0].astype(int)
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape['mask']))) as image:
            mask = np.array(image) > 0
        window = labels[y : y + mask.shape[0], x : x + mask.shape[1]]
        window[mask] = value
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise ConversionError(f'{path}: the mask of {what} can not be used ({error}). Redraw it.') from None


# --- COCO ---


@dataclass(frozen=True)
class CocoImage:
    """An image of a COCO file with its annotations; ``name`` is the label file without suffix."""

    name: str
    height: int
    width: int
    annotations: tuple[dict, ...]


def coco_images(path: Path, content: dict) -> list[CocoImage]:
    """Images of a COCO file; the label map of one without annotations is all 0.

    Raises:
        ConversionError: the file is not COCO, or two images would become the same label file.
    """
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise ConversionError(f'{path}: has no list {key!r}. Export it as "COCO 1.0" with masks.')
    by_image = defaultdict(list)
    for annotation in content['annotations']:
        by_image[annotation.get('image_id')].append(annotation)
    unlisted = by_image.keys() - {image.get('id') for image in content['images']}
    if unlisted:
        raise ConversionError(
            f'{path}: annotations of image_id {sorted(unlisted, key=str)[0]}, which is not listed.'
        )
    images, names = [], set()
    for image in content['images']:
        file = PurePosixPath(str(image.get('file_name')).replace('\\', '/'))
        if file.is_absolute() or '..' in file.parts:
            raise ConversionError(f'{path}: file_name {str(file)!r} points outside; make it a relative path.')
        name = file.with_suffix('').as_posix()
        if name in names:
            raise ConversionError(f'{path}: two images would become {name}.png. Give them different names.')
        names.add(name)
        size = _size(path, image.get('height'), image.get('width'), f'height x width of {file}')
        images.append(CocoImage(name, *size, tuple(by_image[image.get('id')])))
    return images


def coco_categories(path: Path, content: dict, classes: ClassTable) -> dict[int, int]:
    """Category id of the file to class id, for the categories in use.

    Raises:
        ConversionError: a category in use has an unknown name.
    """
    used = {annotation.get('category_id') for annotation in content['annotations']}
    names = {category.get('id'): str(category.get('name')) for category in content['categories']}
    missing = sorted(used - names.keys(), key=str)
    if missing:
        raise ConversionError(
            f'{path}: category_id {missing[0]} is not listed under categories. Export it again.'
        )
    return {number: classes.id_of_label(names[number], str(path)) for number in sorted(used, key=str)}


def coco_ids(
    path: Path, image: CocoImage, categories: dict[int, int], ignore_crowd: bool = False
) -> np.ndarray:
    """Label map ``(H, W)`` uint8 of one image; later annotations overwrite earlier ones.

    Args:
        path: the COCO file, for messages.
        image: the image and its annotations.
        categories: category id to class id.
        ignore_crowd: annotations with ``iscrowd`` become 255. CVAT sets it for everything painted with its brush, so
            by default they are taken like others.

    Raises:
        ConversionError: an annotation has no usable segmentation.
    """
    labels = np.zeros((image.height, image.width), np.uint8)
    for annotation in image.annotations:
        value = categories[annotation.get('category_id')]
        if annotation.get('iscrowd') and ignore_crowd:
            value = IGNORE_ID
        what = f'annotation {annotation.get("id")} of {image.name}'
        parts = annotation.get('segmentation')
        if isinstance(parts, dict):
            labels[_run_length_mask(path, image, parts, what)] = value
        elif isinstance(parts, list) and parts:
            for polygon in parts:
                fill_polygon(labels, _points(path, polygon, 3, what), value)
        else:
            raise ConversionError(
                f'{path}: {what} has no segmentation (a box only?). Outline it, or delete it.'
            )
    return labels


def _run_length_mask(path: Path, image: CocoImage, segmentation: dict, what: str) -> np.ndarray:
    size = [image.height, image.width]
    try:
        if segmentation['size'] != size:
            raise ValueError(f'size {segmentation["size"]}, expected {size}')
        return decode_rle(segmentation['counts'], *size)
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(f'{path}: run lengths of {what} are wrong: {error}. Export again.') from None
