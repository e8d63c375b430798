"""Conversion of annotations to label maps: one function per format, each returning the label maps to make.

The label maps are written by :func:`wtaseg.labels.writing.write_labels`. All functions raise ``ValueError`` or
``FileNotFoundError`` for sources and classes that can not be used; a file that can not be converted fails alone,
when its label map is made.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from . import coco, cvat, labelme, masks
from .annotations import load_json, parse_json
from .classes import ClassTable, ConversionError, pairs
from .documents import Document, read_documents
from .writing import LabelJob


def dataset_classes(
    dataset: str = 'WTADataset', names: Iterable[str] = (), renamed: Iterable[str] = ()
) -> ClassTable:
    """The class table of a registered dataset, or of ``names`` instead.

    Args:
        dataset: registry name of the dataset class whose METAINFO has names and colours.
        names: class names in the order of their ids, without colours.
        renamed: ``NAME=CLASS`` for names used in the annotation files.

    Raises:
        ValueError: the dataset class is not registered or names no classes.
    """
    other_names = pairs(renamed, '--map')
    names = tuple(names)
    if names:
        return ClassTable(names, renamed=other_names)
    import mmseg.datasets  # noqa: F401
    from mmseg.registry import DATASETS

    metainfo = getattr(DATASETS.get(dataset), 'METAINFO', {})
    if not metainfo.get('classes'):
        raise ValueError(f'--dataset {dataset}: not registered, or its METAINFO names no classes.')
    return ClassTable(metainfo['classes'], metainfo.get('palette', ()), other_names)


def palette_jobs(source: Path, classes: ClassTable, colours: Iterable[str] = ()) -> list[LabelJob]:
    """Colour or palette masks below ``source``; ``colours`` are ``CLASS=R,G,B``."""
    table = classes.colours(pairs(colours, '--colour'))
    if not table:
        raise ValueError('No colours are known with --classes; give one --colour CLASS=R,G,B for each.')
    files = masks.find_masks(source)
    return [LabelJob(name, partial(masks.ids_by_colour, path, table)) for name, path in files.items()]


def value_jobs(source: Path, classes: ClassTable, values: Iterable[str]) -> list[LabelJob]:
    """Masks of grey values below ``source``; ``values`` are ``VALUE=CLASS``."""
    table = masks.value_table(classes, pairs(values, '--map'))
    files = masks.find_masks(source)
    return [LabelJob(name, partial(masks.ids_by_value, path, table)) for name, path in files.items()]


def binary_jobs(sources: Iterable[str], classes: ClassTable) -> list[LabelJob]:
    """Masks of 0 and 255, ``CLASS=FOLDER`` for each class; later classes overwrite earlier ones."""
    by_image: dict[str, list[tuple[Path, int]]] = {}
    for target, folder in pairs(sources, 'binary').items():
        for name, path in masks.find_masks(Path(folder)).items():
            by_image.setdefault(name, []).append((path, classes.id_of(target)))
    return [LabelJob(name, partial(masks.ids_of_binary, layers)) for name, layers in sorted(by_image.items())]


def labelme_jobs(source: Path, classes: ClassTable, line_width: int | None = None) -> list[LabelJob]:
    """LabelMe's JSON files in the folder ``source``; lines become ``line_width`` pixels wide."""
    files = sorted(source.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{source} holds no .json file; give the folder that LabelMe wrote to.')
    jobs: dict[str, LabelJob] = {}
    for path in files:
        content = load_json(path)
        content.pop('imageData', None)  # the image as base64: large and not needed
        name = labelme.labelme_name(path, content)
        if name in jobs:
            raise ConversionError(f'{path}: a second file for the image {name}. Remove one of them.')
        jobs[name] = LabelJob(name, partial(labelme.labelme_ids, path, content, classes, line_width))
    return list(jobs.values())


def coco_jobs(source: Path, classes: ClassTable, ignore_crowd: bool = False) -> list[LabelJob]:
    """The images of a COCO JSON file, or of those in a ZIP; with ``ignore_crowd`` ``iscrowd`` annotations become 255."""
    jobs = []
    for document in _documents(source, '.json', 'instances_default.json'):
        content = parse_json(document.path, document.content)
        jobs += coco_content_jobs(document.path, content, classes, ignore_crowd)
    return jobs


def coco_content_jobs(
    path: Path, content: dict, classes: ClassTable, ignore_crowd: bool = False
) -> list[LabelJob]:
    """The images of the content of a COCO file; ``path`` is named in messages."""
    images = coco.coco_images(path, content)
    categories = coco.coco_categories(path, content, classes)
    make = partial(coco.coco_ids, path, categories=categories, ignore_crowd=ignore_crowd)
    return [LabelJob(image.name, partial(make, image)) for image in images]


def cvat_jobs(source: Path, classes: ClassTable, line_width: int | None = None) -> list[LabelJob]:
    """The images of "CVAT for images", an XML file or its ZIP; polylines become ``line_width`` pixels wide."""
    jobs = []
    for document in _documents(source, '.xml', 'annotations.xml'):
        jobs += cvat_document_jobs(document, classes, line_width)
    return jobs


def cvat_document_jobs(
    document: Document, classes: ClassTable, line_width: int | None = None
) -> list[LabelJob]:
    """The images of one XML file of CVAT."""
    images = cvat.cvat_images(document.path, document.content)
    ids = cvat.cvat_classes(document.path, images, classes)
    make = partial(cvat.cvat_ids, document.path, ids=ids, line_width=line_width)
    return [LabelJob(image.name, partial(make, image)) for image in images]


def _documents(source: Path, suffix: str, example: str) -> list[Document]:
    """The files of one ending in a file or ZIP, at least one."""
    if source.is_dir():
        raise ConversionError(
            f'{source} is a folder, expected a file. Give the file, e.g. {example}, or the ZIP.'
        )
    documents = [d for d in read_documents(source) if d.path.suffix.lower() == suffix or d.path == source]
    if not documents:
        raise ConversionError(
            f'{source}: holds no {suffix} file, expected one, e.g. {example}. Export it again.'
        )
    return documents
