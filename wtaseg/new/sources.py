"""Which format labels have, and the label maps to make of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg.datasets.label_files import INDEX_MODES
from wtaseg.labels import annotations, convert, cvat, labelme, masks
from wtaseg.labels.classes import IGNORE_ID, ClassTable, ConversionError, pairs, unpack
from wtaseg.labels.documents import ARCHIVE_SUFFIX, DOCUMENT_SUFFIXES, read_documents
from wtaseg.labels.writing import LabelJob

#: Masks that are read to tell what their values are.
_INSPECTED = 40
_COLOURS_LISTED = 8


@dataclass(frozen=True)
class LabelOptions:
    """How labels are read.

    Attributes:
        classes: names in the order of their ids, class 0 first.
        renamed: ``NAME=CLASS`` or ``VALUE=CLASS``.
        colours: ``CLASS=R,G,B``.
        line_width: of LabelMe's lines in pixels; None refuses lines.
    """

    classes: tuple[str, ...]
    renamed: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    line_width: int | None = None

    def table(self) -> ClassTable:
        """The classes and the other names for them."""
        return ClassTable(self.classes, renamed=pairs(self.renamed, '--map'))

    def values(self) -> dict[str, str]:
        """Class by grey value, of those entries of ``renamed`` that begin with a number."""
        return {key: name for key, name in pairs(self.renamed, '--map').items() if key.isdigit()}


@dataclass(frozen=True)
class LabelSource:
    """Labels of one format: where they are, what it is called, and the label maps to make."""

    path: Path
    format: str
    jobs: list[LabelJob] = field(repr=False)


def detect(path: Path, options: LabelOptions) -> list[LabelSource]:
    """The labels in a file or folder, one entry per format.

    Raises:
        FileNotFoundError: there are none.
        ValueError: the format is unknown, or classes can not be told; the message names the flag that helps.
    """
    if not path.exists():
        raise FileNotFoundError(f'--labels {path}: no such file or folder')
    if path.is_file() and path.suffix.lower() not in (*DOCUMENT_SUFFIXES, ARCHIVE_SUFFIX):
        raise ValueError(
            f'--labels {path}: expected a folder, or a file of LabelMe, COCO or CVAT ({" ".join(DOCUMENT_SUFFIXES)} '
            f'{ARCHIVE_SUFFIX}); give the folder of the masks'
        )
    sources, others = _annotation_sources(path, options)
    if sources:
        return sources
    if others:
        raise ValueError(
            f'--labels {path}: {others[0]} is neither LabelMe ("shapes"), nor COCO ("images"), nor CVAT ("<annotations>")'
        )
    if path.is_file():
        raise ValueError(
            f'--labels {path}: holds no annotations ({" ".join(DOCUMENT_SUFFIXES)}), expected some; unpack it and '
            'give the folder of the masks'
        )
    return [_mask_source(path, options)]


def _annotation_sources(path: Path, options: LabelOptions) -> tuple[list[LabelSource], list[str]]:
    """The annotation files below a folder, in a ZIP or the file itself; and the names of those that are others."""
    table = options.table()
    labelme_jobs, sources, others = [], [], []
    for document in read_documents(path):
        file = document.path
        if file.suffix.lower() == '.xml':
            if cvat.is_cvat(document.content):
                jobs = convert.cvat_document_jobs(document, table, options.line_width)
                sources.append(LabelSource(file, 'CVAT for images (XML)', jobs))
            else:
                others.append(file.name)
            continue
        content = annotations.parse_json(file, document.content)
        if 'shapes' in content:
            content.pop('imageData', None)  # the image as base64: large and not needed
            name = (document.folder / labelme.labelme_name(file, content)).as_posix()
            make = partial(labelme.labelme_ids, file, content, table, options.line_width)
            labelme_jobs.append(LabelJob(name, make))
        elif 'annotations' in content and 'images' in content:
            sources.append(
                LabelSource(file, 'COCO JSON (CVAT)', convert.coco_content_jobs(file, content, table))
            )
        else:
            others.append(file.name)
    if labelme_jobs:
        sources.insert(0, LabelSource(path, 'LabelMe JSON', labelme_jobs))
    return sources, others


def _mask_source(folder: Path, options: LabelOptions) -> LabelSource:
    table = options.table()
    by_class = _class_folders(folder, table)
    if by_class:
        jobs = convert.binary_jobs([f'{name}={path}' for name, path in by_class.items()], table)
        return LabelSource(folder, 'black-and-white masks, one folder per class', jobs)
    files = masks.find_masks(folder)
    step = max(1, len(files) // _INSPECTED)
    inspected = list(islice(files.values(), 0, None, step))
    colours = options.colours or _cvat_colours(folder, table)
    if colours or any(_is_coloured(path) for path in inspected):
        known = _colour_table(inspected, table, colours)
        jobs = [LabelJob(name, partial(masks.ids_by_colour, path, known)) for name, path in files.items()]
        return LabelSource(folder, 'colour masks', jobs)
    if options.values():
        known = masks.value_table(table, options.values())
        return LabelSource(folder, 'masks of grey values', _value_jobs(files, known))
    known, kind = _ids_of_values(folder, inspected, table)
    return LabelSource(folder, kind, _value_jobs(files, known))


def _value_jobs(files: dict[str, Path], known: dict[int, int]) -> list[LabelJob]:
    return [LabelJob(name, partial(masks.ids_by_value, path, known)) for name, path in files.items()]


def _class_folders(folder: Path, table: ClassTable) -> dict[str, Path]:
    """Sub-folders of the names of classes; empty unless every sub-folder is one and no mask is beside them."""
    names = {*table.names, *table.renamed}
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith('.')]
    beside = any(path.suffix.lower() in masks.MASK_SUFFIXES for path in folder.iterdir() if path.is_file())
    if beside or not folders or not all(path.name in names for path in folders):
        return {}
    classes = {path.name: table.id_of_label(path.name, str(path)) for path in folders}
    return {str(classes[path.name]): path for path in folders}


def _cvat_colours(folder: Path, table: ClassTable) -> tuple[str, ...]:
    """``CLASS=R,G,B`` from the ``labelmap.txt`` of CVAT's "Segmentation mask" export; empty without one."""
    for file in (folder / 'labelmap.txt', folder.parent / 'labelmap.txt'):
        if file.is_file():
            rows = re.findall(r'^([^#:\n]+):(\d+,\d+,\d+):', file.read_text(encoding='utf-8-sig'), re.M)
            ids = [
                (0 if name == 'background' else table.id_of_label(name, str(file)), rgb) for name, rgb in rows
            ]
            return tuple(f'{"ignore" if i == IGNORE_ID else table.names[i]}={rgb}' for i, rgb in ids)
    return ()


def _is_coloured(path: Path) -> bool:
    """Whether a mask has colours; the indices of a palette image may be class ids and count as values."""
    try:
        with Image.open(path) as image:
            return image.mode not in INDEX_MODES
    except OSError as error:
        raise ConversionError(
            f'{path}: can not be decoded ({error}). Copy it again from its source.'
        ) from None


def _colour_table(paths: list[Path], table: ClassTable, colours: Sequence[str]) -> dict[int, int]:
    given = pairs(colours, '--colour')
    known = table.colours(given)
    known.setdefault(0, 0)  # black is normal unless it is said to be something else
    counts: dict[int, int] = {}
    for path in paths:
        values, numbers = np.unique(masks.packed_colours(path), return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist()):
            counts[value] = counts.get(value, 0) + number
    unknown = sorted((value for value in counts if value not in known), key=lambda value: -counts[value])
    if unknown:
        if len(unknown) > masks.MANY:
            raise ConversionError(
                f'{paths[0].parent}: {len(unknown)} colours in {len(paths)} files, expected one for each class. These are '
                'photographs, or masks with smoothing or JPEG; give the folder of the masks, exported as PNG without '
                'anti-aliasing'
            )
        total = sum(counts.values())
        listed = ', '.join(
            f'{unpack(v)} ({100 * counts[v] / total:.3g} %)' for v in unknown[:_COLOURS_LISTED]
        )
        free = [name for i, name in enumerate(table.names) if i not in known.values()] or ['CLASS']
        example = ' '.join(f'{name}={unpack(value)}' for name, value in zip(free, unknown))
        raise ConversionError(
            f'{paths[0].parent}: colour masks with {listed}; say which class each colour is, for example '
            f'--colour {example}'
        )
    return known


def _ids_of_values(folder: Path, paths: list[Path], table: ClassTable) -> tuple[dict[int, int], str]:
    values = {int(value) for path in paths for value in np.unique(masks.read_mask(path, 'L'))}
    count = len(table.names)
    if values <= {0, IGNORE_ID} and IGNORE_ID in values:
        if count == 2:
            return {0: 0, 255: 1}, 'black-and-white masks'
        raise ValueError(
            f'--labels {folder}: the masks hold only 0 and 255 for {count} classes; put them into one folder '
            f'per class, {folder.name}/{table.names[1]} …, or give one class with --map 0={table.names[0]} 255=CLASS'
        )
    if values <= {*range(count), IGNORE_ID}:
        return {value: value for value in (*range(count), IGNORE_ID)}, 'masks of class ids'
    listed = ', '.join(map(str, sorted(values)[:_COLOURS_LISTED]))
    raise ValueError(
        f'--labels {folder}: the masks hold the values {listed}, expected ids 0..{count - 1} of --classes '
        f'{" ".join(table.names)}; name more classes with --classes, or say what the values are: --map VALUE=CLASS …'
    )
