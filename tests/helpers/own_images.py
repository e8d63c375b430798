"""The files of a new user: images of several kinds with Korean names and EXIF rotation, labels of three programs."""

import json
import zipfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from image_samples import STORED, encode
from PIL import Image

CLASSES = ('normal', 'scratch', 'dent', 'rust', 'burr')
COLOURS = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))


def draw_part(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """An image ``(H, W, 3)`` and its defects: class id and outline ``(N, 2)`` of (x, y)."""
    height, width = size
    image = np.full((height, width, 3), 90, np.uint8)
    image += rng.integers(0, 30, image.shape, dtype=np.uint8)
    outlines = []
    for value in rng.choice(np.arange(1, len(CLASSES)), 2, replace=False).tolist():
        x, y = rng.integers(10, width - 60), rng.integers(10, height - 40)
        length, thickness = (50, 3) if value == 1 else (22, 18)
        corners = np.array([[x, y], [x + length, y], [x + length, y + thickness], [x, y + thickness]])
        cv2.fillPoly(image, [corners.astype(np.int32)], [int(c) for c in COLOURS[value]])
        outlines.append((value, corners))
    return image, outlines


def labelme(image: str, size: tuple[int, int], outlines: list) -> dict:
    shapes = [
        dict(label=CLASSES[value], points=corners.tolist(), shape_type='polygon')
        for value, corners in outlines
    ]
    return dict(
        version='5.4', shapes=shapes, imagePath=image, imageHeight=size[0], imageWidth=size[1], imageData=None
    )


def cvat_image(number: int, name: str, size: tuple[int, int], outlines: list) -> str:
    """An image of "CVAT for images 1.1": a box for class 1, polygons for the others."""
    shapes = []
    for value, corners in outlines:
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        points = ';'.join(f'{x:.2f},{y:.2f}' for x, y in corners.tolist())
        place = f'points="{points}"'
        if value == 1:
            place = f'xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"'
        kind = 'box' if value == 1 else 'polygon'
        shapes.append(f'<{kind} label="{CLASSES[value]}" source="manual" occluded="0" {place} z_order="0"/>')
    return (
        f'<image id="{number}" name={quoteattr(name)} width="{size[1]}" height="{size[0]}">'
        + '\n'.join(shapes)
        + '</image>'
    )


def make_files(root: Path, count: int = 24, size: tuple[int, int] = (300, 400)) -> dict[str, list]:
    """Write ``images``, ``labelme``, ``masks``, ``cvat/instances_default.json`` and ``cvat/작업 2.zip`` below ``root``.

    Returns:
        The outlines of each image by its name without ending; every fourth image is a JPEG with EXIF rotation.
    """
    rng = np.random.default_rng(1)
    for folder in ('images', 'labelme', 'cvat', 'masks'):
        (root / folder).mkdir(parents=True)
    coco = dict(
        images=[], annotations=[], categories=[dict(id=7 + i, name=n) for i, n in enumerate(CLASSES) if i]
    )
    drawn, in_xml = {}, []
    for index in range(count):
        image, outlines = draw_part(rng, size)
        name = f'부품 {index // 4}번 사진 {index}'
        ending = ('.JPG', '.png', '.jpeg', '.PNG')[index % 4]
        form = 'PNG' if ending.lower() == '.png' else 'JPEG'
        orientation = (6, 1, 1, 1)[index % 4]
        (root / 'images' / (name + ending)).write_bytes(encode(image, form, orientation))
        drawn[name] = outlines
        if index % 3 == 0:
            content = labelme(name + ending, size, outlines)
            (root / 'labelme' / f'{name}.json').write_text(
                json.dumps(content, ensure_ascii=False), encoding='utf-8'
            )
        elif index % 6 == 4:
            in_xml.append(cvat_image(index, f'images/{name}{ending}', size, outlines))
        elif index % 6 == 1:
            coco['images'].append(dict(id=index, file_name=name + ending, height=size[0], width=size[1]))
            coco['annotations'] += [
                dict(
                    id=len(coco['annotations']),
                    image_id=index,
                    category_id=7 + value,
                    segmentation=[corners.ravel().tolist()],
                )
                for value, corners in outlines
            ]
        else:
            mask = label_map(size, outlines)
            colours = np.array(COLOURS, np.uint8)[mask]
            # one of the rotated images has a mask as stored by a program that ignores EXIF
            Image.fromarray(np.ascontiguousarray(STORED[orientation](colours))).save(
                root / 'masks' / f'{name}.png'
            )
    with zipfile.ZipFile(root / 'cvat/작업 2.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        content = f'<annotations><version>1.1</version>{"".join(in_xml)}</annotations>'
        archive.writestr('annotations.xml', content.encode())
    (root / 'cvat/instances_default.json').write_text(json.dumps(coco, ensure_ascii=False), encoding='utf-8')
    return drawn


def label_map(size: tuple[int, int], outlines: list) -> np.ndarray:
    """Class ids ``(H, W)`` of axis-parallel outlines."""
    mask = np.zeros(size, np.uint8)
    for value, corners in outlines:
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        mask[y0:y1, x0:x1] = value
    return mask
