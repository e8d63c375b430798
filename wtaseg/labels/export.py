"""Label maps as files of LabelMe and COCO, which CVAT imports too; :mod:`.convert` reads them back to the pixel."""

import base64
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from augment.dataset.manifest import MANIFEST, Manifest
from augment.dataset.reading import check_label, decode_label, upright_label
from mmseg.datasets.image_files import match_images, read_header
from wtaseg.io import write

from .classes import IGNORE, IGNORE_ID
from .regions import LabelledRegion, labelled_regions
from .shapes import run_lengths

MASK, POLYGON = 'mask', 'polygon'
IMAGES, LABELS = 'img_dir', 'ann_dir'
_LABELME_VERSION = '5.5.0'


@dataclass(frozen=True)
class LabelFile:
    """An image and its label map; ``name`` is the path of the image below the folder of its split."""

    name: str
    image: Path
    label: Path

    def read(self) -> np.ndarray:
        """Class ids ``(H, W)`` uint8 of the upright image.

        Raises:
            FileNotFoundError, ValueError: image or label can't be used; names the file.
        """
        if not self.label.is_file():
            raise FileNotFoundError(f'{self.label} does not exist; label {self.image}, or leave it out')
        try:
            head = read_header(self.image)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f'{self.image}: can not be read as an image ({error}); replace it') from None
        try:
            ids = upright_label(decode_label(self.label.read_bytes()), head.size[::-1], head.orientation)
            check_label(ids, head.size[::-1])
        except ValueError as error:
            raise ValueError(f'{self.label}: {error}') from None
        return ids


def find_labels(root: Path, split: str, edits_only: bool = False) -> list[LabelFile]:
    """The labelled images of a split, sorted by name.

    Args:
        root: folder with img_dir and ann_dir.
        split: name of the split.
        edits_only: only accepted edits, by the manifest of ``wta-seg augment``.

    Raises:
        FileNotFoundError: there is no such split, no manifest, or no image.
    """
    folder = root / IMAGES / split
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} does not exist; give the folder of a dataset, and --split')
    if edits_only:
        if not (root / MANIFEST).is_file():
            raise FileNotFoundError(
                f'{root / MANIFEST} does not exist; --edits-only is for augmented datasets'
            )
        rows = [row for row in Manifest(root).rows.values() if row.accepted and row.split == split]
        names = [Path(row.file).relative_to(IMAGES, split).as_posix() for row in rows]
    else:
        paths = (path for path in folder.rglob('*') if path.is_file() and not path.name.startswith('.'))
        names = match_images(path.relative_to(folder).as_posix() for path in paths).values()
    if not names:
        raise FileNotFoundError(f'{folder} holds no image; there is nothing to export')
    labels = root / LABELS / split
    return [LabelFile(n, folder / n, (labels / n).with_suffix('.png')) for n in sorted(names)]


def export_coco(
    files: Iterable[LabelFile], classes: Sequence[str], out: Path, shapes: str = MASK
) -> tuple[int, int]:
    """Write one COCO JSON file; returns the number of images and of regions.

    Args:
        files: images and label maps.
        classes: names by class id.
        out: the file.
        shapes: ``mask``: run lengths; ``polygon``: outlines, but run lengths where a region has a hole.

    Raises:
        FileNotFoundError, ValueError: an image or label can't be used.
    """
    names = dict(_names(classes))
    images, annotations = [], []
    for number, file in enumerate(files, 1):
        ids = file.read()
        height, width = ids.shape
        images.append(dict(id=number, file_name=file.name, width=width, height=height))
        for region in _known(file, ids, names):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=number,
                    category_id=region.class_id,
                    bbox=[region.x, region.y, *region.mask.shape[::-1]],
                    area=int(region.mask.sum()),
                    segmentation=_segmentation(region, ids.shape, shapes),
                    iscrowd=0,
                )
            )
    used = {annotation['category_id'] for annotation in annotations}
    categories = [dict(id=i, name=name) for i, name in names.items() if i != IGNORE_ID or i in used]
    content = dict(images=images, categories=categories, annotations=annotations)
    write(out, json.dumps(content, ensure_ascii=False))
    return len(images), len(annotations)


def _segmentation(region: LabelledRegion, size: tuple[int, int], shapes: str) -> dict | list:
    outline = region.outline() if shapes == POLYGON else None
    if outline is not None:
        return [outline.ravel().tolist()]
    return dict(size=list(size), counts=run_lengths(region.mask, (region.x, region.y), size))


def export_labelme(
    files: Iterable[LabelFile], classes: Sequence[str], out: Path, shapes: str = MASK
) -> tuple[int, int]:
    """Write one LabelMe JSON file for each image into the folder ``out``; otherwise like :func:`export_coco`."""
    names = dict(_names(classes))
    count = regions = 0
    for file in files:
        ids = file.read()
        target = (out / file.name).with_suffix('.json')
        content = dict(
            version=_LABELME_VERSION,
            flags={},
            shapes=[_labelme_shape(region, names, shapes) for region in _known(file, ids, names)],
            imagePath=Path(os.path.relpath(file.image.resolve(), target.parent.resolve())).as_posix(),
            imageData=None,
            imageHeight=ids.shape[0],
            imageWidth=ids.shape[1],
        )
        write(target, json.dumps(content, ensure_ascii=False, indent=1))
        count, regions = count + 1, regions + len(content['shapes'])
    return count, regions


def _labelme_shape(region: LabelledRegion, names: dict[int, str], shapes: str) -> dict:
    outline = region.outline() if shapes == POLYGON else None
    shape = dict(label=names[region.class_id], group_id=None, description='', flags={})
    if outline is not None:
        return shape | dict(shape_type='polygon', points=outline.tolist(), mask=None)
    height, width = region.mask.shape
    corners = [[region.x, region.y], [region.x + width - 1, region.y + height - 1]]
    file = io.BytesIO()
    Image.fromarray(region.mask.astype(np.uint8)).save(file, 'PNG')
    return shape | dict(shape_type='mask', points=corners, mask=base64.b64encode(file.getvalue()).decode())


def _names(classes: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Class ids and names of what is exported: all but the normal class, and ignored pixels."""
    yield from list(enumerate(classes))[1:]
    yield IGNORE_ID, IGNORE


def _known(file: LabelFile, ids: np.ndarray, names: dict[int, str]) -> list[LabelledRegion]:
    regions = list(labelled_regions(ids))
    unknown = sorted({region.class_id for region in regions} - names.keys())
    if unknown:
        raise ValueError(
            f'{file.label}: holds {unknown[0]}, expected 0..{len(names) - 1} or {IGNORE_ID}; name all classes with '
            '--classes'
        )
    return regions


#: The programs by the name of their command.
EXPORTS: dict[str, Callable] = {'coco': export_coco, 'labelme': export_labelme}
