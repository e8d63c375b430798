"""Label maps of "CVAT for images 1.1" (XML)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from .annotations import FARTHEST, brief, image_size, is_clipped, label_name, paste_mask, points_of
from .classes import ClassTable, ConversionError
from .shapes import draw_line, fill_ellipse, fill_polygon
from .writing import LabelMap

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Shape:
    """An annotation: the name of its element and the attributes of it, as text."""

    kind: str
    attributes: dict[str, str]

    @property
    def label(self) -> str:
        """Name of the class."""
        return self.attributes.get('label', '')


@dataclass(frozen=True)
class CvatImage:
    """An image of a file with its annotations; ``name`` is the label file without suffix."""

    name: str
    height: int
    width: int
    shapes: tuple[Shape, ...]


@dataclass
class _Reader:
    """Receives the elements of a file; a document type declaration, with which entities begin, is refused."""

    path: Path
    images: list[tuple[dict[str, str], list[Shape]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ConversionError(
            f'{self.path}: has a document type declaration ({brief(name)}), expected none. Export it again.'
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.open and tag != 'annotations':
            raise ConversionError(
                f'{self.path}: is a file of <{tag}>, expected <annotations>. Export it as "CVAT for images 1.1" or '
                '"COCO 1.0".'
            )
        if self.open == ['annotations']:
            if tag == 'track':
                raise ConversionError(
                    f'{self.path}: holds tracks of a video, expected images. Export it as "CVAT for images 1.1".'
                )
            if tag == 'image':
                self.images.append((attributes, []))
        elif self.open == ['annotations', 'image']:
            self.images[-1][1].append(Shape(tag, attributes))
        self.open.append(tag)

    def end(self, tag: str) -> None:
        self.open.pop()

    def close(self) -> list:
        return self.images


def is_cvat(content: bytes) -> bool:
    """Whether XML may be of CVAT: its first element is ``<annotations>``, as far as its beginning tells."""
    return b'<annotations' in content[:_CHUNK]


def cvat_images(path: Path, content: bytes) -> list[CvatImage]:
    """Images of a file; the label map of one without annotations is all 0.

    Entities are not expanded and nothing outside the file is read.

    Raises:
        ConversionError: the file is not "CVAT for images", or two images would become the same label file.
    """
    parser = ElementTree.XMLParser(target=_Reader(path))
    try:
        for start in range(0, len(content), _CHUNK):
            parser.feed(content[start : start + _CHUNK])
        parsed = parser.close()
    except ConversionError:
        raise
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ConversionError(f'{path}: is no valid XML ({error}). Export it again.') from None
    images, names = [], set()
    for attributes, shapes in parsed:
        name = label_name(path, f'image {attributes.get("id")}', 'name', attributes.get('name'))
        if name in names:
            raise ConversionError(f'{path}: two images would become {name}.png. Give them different names.')
        names.add(name)
        height, width = (_integer(attributes.get(side)) for side in ('height', 'width'))
        size = image_size(path, height, width, f'height x width of {name}')
        images.append(CvatImage(name, *size, tuple(shapes)))
    return images


def cvat_classes(path: Path, images: Iterable[CvatImage], classes: ClassTable) -> dict[str, int]:
    """Class id by the name in the file, for the names in use.

    Raises:
        ConversionError: a shape has the name of no class, or a tag that of a class other than 0: it has no pixels.
    """
    ids: dict[str, int] = {}
    for image in images:
        for shape in image.shapes:
            if shape.kind == 'tag':
                if classes.knows(shape.label) and classes.id_of_label(shape.label, str(path)):
                    raise ConversionError(
                        f'{path}: {image.name} has the tag {shape.label!r}, which has no area. Outline the defect, or '
                        'delete the tag.'
                    )
            elif shape.label not in ids:
                ids[shape.label] = classes.id_of_label(shape.label, str(path))
    return ids


def cvat_ids(path: Path, image: CvatImage, ids: dict[str, int], line_width: int | None = None) -> LabelMap:
    """Label map ``(H, W)`` uint8 of one image; shapes of a higher ``z_order`` cover others, then later ones do.

    Args:
        path: the file, for messages.
        image: the image and its annotations.
        ids: class id by name.
        line_width: width of polylines in pixels; None refuses them.

    Raises:
        ConversionError: a shape has no area, or lies outside the image.
    """
    labels = np.zeros((image.height, image.width), np.uint8)
    clipped = 0
    shapes = [(number, shape) for number, shape in enumerate(image.shapes, 1) if shape.kind != 'tag']
    for number, shape in sorted(shapes, key=lambda item: _integer(item[1].attributes.get('z_order')) or 0):
        what = f'shape {number} ({shape.kind} {shape.label!r}) of {image.name}'
        clipped += _draw(path, labels, shape, what, ids[shape.label], line_width)
    return LabelMap(labels, clipped)


def _draw(
    path: Path, labels: np.ndarray, shape: Shape, what: str, value: int, line_width: int | None
) -> bool:
    """Draw one shape; returns whether it was clipped."""
    if shape.kind == 'mask':
        return _draw_mask(path, labels, shape, what, value)
    if shape.kind == 'ellipse':
        return _draw_ellipse(path, labels, shape, what, value)
    if shape.kind == 'polyline' and line_width:
        corners = _points(path, shape, 2, what)
        clipped = is_clipped(path, labels, corners, what)
        draw_line(labels, corners, line_width, value)
        return clipped
    if shape.kind == 'box':
        left, top, right, bottom = _numbers(path, shape, ('xtl', 'ytl', 'xbr', 'ybr'), what)
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        corners = _rotated(corners, _numbers(path, shape, ('rotation',), what)[0])
    elif shape.kind == 'polygon':
        corners = _points(path, shape, 3, what)
    else:
        line = shape.kind == 'polyline'
        remedy = 'give the width of lines with --line-width' if line else 'redraw it as a polygon or mask'
        raise ConversionError(f'{path}: {what} has no area; {remedy}.')
    clipped = is_clipped(path, labels, corners, what)
    fill_polygon(labels, corners, value)
    return clipped


def _draw_ellipse(path: Path, labels: np.ndarray, shape: Shape, what: str, value: int) -> bool:
    x, y, *radii = _numbers(path, shape, ('cx', 'cy', 'rx', 'ry'), what)
    if min(radii) <= 0:
        raise ConversionError(
            f'{path}: {what} has the radii {radii}, expected more than 0. Redraw or delete it.'
        )
    turn = _turn(_numbers(path, shape, ('rotation',), what)[0])
    extent = np.hypot(*(np.array(radii)[:, None] * turn))
    centre = np.array([x, y])
    clipped = is_clipped(path, labels, np.array([centre - extent, centre + extent]), what)
    fill_ellipse(labels, centre, np.array(radii), turn, value)
    return clipped


def _draw_mask(path: Path, labels: np.ndarray, shape: Shape, what: str, value: int) -> bool:
    """Draw a mask: run lengths along the rows of its box, zeros first."""
    left, top, width, height = (
        _integer(shape.attributes.get(key)) for key in ('left', 'top', 'width', 'height')
    )
    if left is None or top is None:
        raise ConversionError(f'{path}: {what} has no left and top, expected integers. Export it again.')
    size = image_size(path, height, width, f'height x width of {what}')
    runs = [_integer(text) for text in shape.attributes.get('rle', '').split(',')]
    if any(run is None or run < 0 for run in runs) or sum(runs) != size[0] * size[1]:
        raise ConversionError(
            f'{path}: the run lengths of {what} are wrong, expected {size[0] * size[1]} pixels. Export it again.'
        )
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size)
    return paste_mask(path, labels, mask, (left, top), what, value)


def _points(path: Path, shape: Shape, least: int, what: str) -> np.ndarray:
    """Attribute ``points``, ``x,y;x,y``, as ``(N, 2)``."""
    text = shape.attributes.get('points', '')
    return points_of(path, [pair.split(',') for pair in text.split(';')], least, what)


def _numbers(path: Path, shape: Shape, keys: tuple[str, ...], what: str) -> list[float]:
    """Attributes as numbers of at most the size of a coordinate; a rotation that is missing is 0."""
    values = []
    for key in keys:
        text = shape.attributes.get(key, '0' if key == 'rotation' else '')
        try:
            number = float(text)
        except ValueError:
            number = np.nan
        if not abs(number) <= FARTHEST:
            raise ConversionError(
                f'{path}: {what} has {key}={brief(text)}, expected a number. Export it again.'
            )
        values.append(number)
    return values


def _rotated(corners: np.ndarray, degrees: float) -> np.ndarray:
    """Corners ``(N, 2)`` turned clockwise around their centre."""
    centre = corners.mean(axis=0)
    return (corners - centre) @ _turn(degrees) + centre


def _turn(degrees: float) -> np.ndarray:
    """Matrix whose rows are the directions of the axes after turning them clockwise, as (x, y)."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _integer(text: str | None) -> int | None:
    try:
        return int(text or '')
    except ValueError:
        return None
