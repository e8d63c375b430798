"""Label maps of COCO files."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .annotations import brief, image_size, is_clipped, label_name, objects, points_of
from .classes import IGNORE_ID, ClassTable, ConversionError
from .shapes import decode_rle, fill_polygon
from .writing import LabelMap


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
        ConversionError: the file is not COCO, two images have one id, or would become the same label file.
    """
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise ConversionError(f'{path}: has no list {key!r}. Export it as "COCO 1.0" with masks.')
    by_id = _by_id(path, content, 'images')
    by_image = defaultdict(list)
    for annotation in objects(path, content, 'annotations'):
        number = annotation.get('image_id')
        if not isinstance(number, (int, str)) or number not in by_id:
            raise ConversionError(
                f'{path}: annotation {annotation.get("id")} has image_id {brief(number)}, which is not listed under '
                'images. Export it again.'
            )
        by_image[number].append(annotation)
    images, names = [], set()
    for number, image in by_id.items():
        name = label_name(path, f'image {number!r}', 'file_name', image.get('file_name'))
        if name in names:
            raise ConversionError(f'{path}: two images would become {name}.png. Give them different names.')
        names.add(name)
        size = image_size(path, image.get('height'), image.get('width'), f'height x width of {name}')
        images.append(CocoImage(name, *size, tuple(by_image[number])))
    return images


def _by_id(path: Path, content: dict, key: str) -> dict[int | str, dict]:
    """The objects of a list by their ids, which must differ."""
    by_id: dict[int | str, dict] = {}
    for value in objects(path, content, key):
        number = value.get('id')
        if not isinstance(number, (int, str)):
            raise ConversionError(
                f'{path}: an entry of {key} has the id {brief(number)}, expected a number. Export it again.'
            )
        if number in by_id:
            raise ConversionError(
                f'{path}: two entries of {key} have the id {number!r}: {brief(by_id[number])} and {brief(value)}. '
                'Give each an id of its own.'
            )
        by_id[number] = value
    return by_id


def coco_categories(path: Path, content: dict, classes: ClassTable) -> dict[int | str, int]:
    """Category id of the file to class id, for the categories in use.

    Raises:
        ConversionError: two categories have one id, or one in use has an unknown name.
    """
    names = {
        number: str(category.get('name')) for number, category in _by_id(path, content, 'categories').items()
    }
    used = set()
    for annotation in objects(path, content, 'annotations'):
        number = annotation.get('category_id')
        if not isinstance(number, (int, str)) or number not in names:
            raise ConversionError(
                f'{path}: annotation {annotation.get("id")}: category_id {brief(number)} is not listed under '
                'categories. Export it again.'
            )
        used.add(number)
    return {number: classes.id_of_label(names[number], str(path)) for number in sorted(used, key=str)}


def coco_ids(
    path: Path, image: CocoImage, categories: dict[int | str, int], ignore_crowd: bool = False
) -> LabelMap:
    """Label map ``(H, W)`` uint8 of one image; later annotations overwrite earlier ones.

    Args:
        path: the COCO file, for messages.
        image: the image and its annotations.
        categories: category id to class id.
        ignore_crowd: annotations with ``iscrowd`` become 255. CVAT sets it for everything painted with its brush, so
            by default they are taken like others.

    Raises:
        ConversionError: an annotation has no usable segmentation, or lies outside the image.
    """
    labels = np.zeros((image.height, image.width), np.uint8)
    clipped = 0
    for annotation in image.annotations:
        value = categories[annotation.get('category_id')]
        if annotation.get('iscrowd') and ignore_crowd:
            value = IGNORE_ID
        what = f'annotation {annotation.get("id")} of {image.name}'
        parts = annotation.get('segmentation')
        if isinstance(parts, dict):
            labels[_run_length_mask(path, image, parts, what)] = value
        elif isinstance(parts, list) and parts:
            polygons = [points_of(path, polygon, 3, what) for polygon in parts]
            beyond = [is_clipped(path, labels, polygon, what) for polygon in polygons]
            clipped += any(beyond)
            for polygon in polygons:
                fill_polygon(labels, polygon, value)
        else:
            raise ConversionError(
                f'{path}: {what} has no segmentation (a box only?). Outline it, or delete it.'
            )
    return LabelMap(labels, clipped)


def _run_length_mask(path: Path, image: CocoImage, segmentation: dict, what: str) -> np.ndarray:
    size = [image.height, image.width]
    try:
        if segmentation['size'] != size:
            raise ValueError(f'size {segmentation["size"]}, expected {size}')
        return decode_rle(segmentation['counts'], *size)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ConversionError(f'{path}: run lengths of {what} are wrong: {error}. Export again.') from None
