"""Label maps of images: made, checked against the image, measured."""

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from PIL import Image

from mmseg.datasets.image_files import ImageHeader, turn_upright
from wtaseg.labels.classes import IGNORE_ID, ConversionError
from wtaseg.labels.writing import LabelJob, LabelMap

from .images import SourceImage, normalized
from .sources import LabelSource

_NAMES_LISTED = 3


@dataclass(frozen=True)
class Labelled:
    """An image with its label map.

    Attributes:
        image: the image.
        png: the label map as the content of an 8-bit PNG.
        pixels: per class id, int64 ``(num_classes,)``; ignored pixels are not counted.
        defects: one row ``(long side of the bounding box, thickness)`` in pixels for every connected region of a
            class but 0, float32 ``(N, 2)``. The thickness is that of its thickest part.
        turned: whether the label fitted the image as stored and was turned with it.
        clipped: number of shapes that reach beyond the image and were clipped.
    """

    image: SourceImage
    png: bytes
    pixels: np.ndarray
    defects: np.ndarray
    turned: bool = False
    clipped: int = 0


def match_labels(
    images: dict[str, SourceImage], sources: Sequence[LabelSource], empty_missing: bool = False
) -> tuple[dict[str, LabelJob | None], list[str]]:
    """The label to make for every image, None for all normal, and notices about labels without an image.

    A label belongs to the image of its path, or else to the only image of its file name. Where no label has the name of
    an image, an ending that all labels of a source have in common, such as ``_mask``, is left out.

    Raises:
        ValueError: an image has no label (unless ``empty_missing``) or two, or no label has an image.
    """
    by_file_name: dict[str, list[str]] = {}
    for name in images:
        by_file_name.setdefault(PurePosixPath(name).name, []).append(name)
    jobs: dict[str, LabelJob] = {}
    origin: dict[str, LabelSource] = {}
    orphans, notices = [], []
    for source in sources:
        ending = _common_ending([normalized(job.name) for job in source.jobs], by_file_name)
        if ending:
            notices.append(f'{source.path}: the labels have the names of the images and {ending!r}')
        for job in source.jobs:
            name = normalized(job.name).removesuffix(ending)
            same_file = by_file_name.get(PurePosixPath(name).name, [])
            target = name if name in images else same_file[0] if len(same_file) == 1 else None
            if target is None:
                orphans.append(f'{source.path}: {name}')
            elif target in jobs:
                raise ValueError(
                    f'{images[target].path} has two labels, in {origin[target].path} ({origin[target].format}) and '
                    f'in {source.path} ({source.format}); remove one'
                )
            else:
                jobs[target], origin[target] = job, source
    if not jobs:
        example = f', for example {orphans[0]}' if orphans else ''
        raise ValueError(
            f'no label has the name of an image{example}; images are called like {next(iter(images))}. '
            'Labels and images belong together by their file names'
        )
    missing = [str(images[name].path) for name in images if name not in jobs]
    if missing and not empty_missing:
        raise ValueError(
            f'{len(missing)} of {len(images)} images have no label: {_some(missing)}. If they have no defects, '
            '--empty-label missing makes labels that are all normal; otherwise label or remove them'
        )
    if orphans:
        notices.append(f'{len(orphans)} labels without an image are left out: {_some(orphans)}')
    if missing:
        notices.append(f'{len(missing)} images without a label get one that is all normal: {_some(missing)}')
    return {name: jobs.get(name) for name in images}, notices


def _common_ending(labels: Sequence[str], images: Collection[str]) -> str:
    """What all ``labels`` have behind the file name of an image; empty where a label has the name of an image itself."""
    names = [PurePosixPath(label).name for label in labels]
    if not names or any(name in images for name in names):
        return ''
    endings = {names[0][length:] for length in range(1, len(names[0])) if names[0][:length] in images}
    common = [ending for ending in endings if all(name.removesuffix(ending) in images for name in names)]
    return max(common, key=len, default='')


def describe_turned(names: Sequence[str]) -> str:
    """A notice about labels that were turned with their images."""
    return f'{len(names)} labels fit their image only before its EXIF rotation and are turned with it: {_some(names)}'


def _some(names: Sequence[str]) -> str:
    more = f' and {len(names) - _NAMES_LISTED} more' if len(names) > _NAMES_LISTED else ''
    return ', '.join(names[:_NAMES_LISTED]) + more


def make_label(image: SourceImage, job: LabelJob | None, num_classes: int) -> Labelled:
    """The label map of an image; ``job=None``: all normal.

    Raises:
        ConversionError: the label can not be made, or does not fit its image.
    """
    fitted, turned = fitted_label(image, job)
    labels = fitted.ids
    counts = np.bincount(labels.ravel(), minlength=256)
    file = io.BytesIO()
    Image.fromarray(labels).save(file, 'PNG')
    return Labelled(
        image, file.getvalue(), counts[:num_classes], measure_defects(labels), turned, fitted.clipped
    )


def fitted_label(image: SourceImage, job: LabelJob | None) -> tuple[LabelMap, bool]:
    """The label map ``(H, W)`` uint8 of an upright image, and whether it was turned; ``job=None``: all normal.

    Raises:
        ConversionError: the label can not be made, or does not fit its image.
    """
    width, height = image.header.size
    labels = LabelMap(np.zeros((height, width), np.uint8)) if job is None else job.make()
    if labels.ids.shape == (height, width):
        return labels, False
    return replace(labels, ids=_turned(labels.ids, image.path, image.header)), True


def fitted_jobs(
    jobs: Sequence[LabelJob], images: dict[str, SourceImage], source: Path, empty_missing: bool = False
) -> tuple[list[LabelJob], list[str], list[str]]:
    """Jobs for the label maps of ``images``, each named and turned as its image is.

    Returns:
        The jobs; notices; and a list to which each job adds the name of its image if its label was turned.

    Raises:
        ValueError: see :func:`match_labels`.
    """
    matched, notices = match_labels(images, [LabelSource(source, 'labels', list(jobs))], empty_missing)
    turned: list[str] = []

    def make(name: str) -> LabelMap:
        labels, was_turned = fitted_label(images[name], matched[name])
        turned.extend([name] * was_turned)
        return labels

    return [LabelJob(name, partial(make, name)) for name in matched], notices, turned


def _turned(labels: np.ndarray, path: object, header: ImageHeader) -> np.ndarray:
    size = labels.shape[::-1]
    if size == header.stored_size and header.orientation > 4:
        return turn_upright(labels, header.orientation)
    width, height = header.size
    rotation = ' (upright, by its EXIF orientation)' if header.orientation > 4 else ''
    raise ConversionError(
        f'{path}: is {width} x {height}{rotation}, its label {size[0]} x {size[1]}. '
        'Label the image at this size; do not scale labels.'
    )


def measure_defects(labels: np.ndarray) -> np.ndarray:
    """Size of every connected region of a class but 0 in a label map ``(H, W)``.

    Returns:
        float32 ``(N, 2)``: long side of the bounding box and thickness of the thickest part, in pixels.
    """
    rows = []
    for value in np.unique(labels):
        if value in (0, IGNORE_ID):
            continue
        mask = (labels == value).astype(np.uint8)
        _, regions, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        # a border, so that the image's edge counts as the region's
        depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
        thickest = np.zeros(len(stats), np.float32)
        inside = mask > 0
        np.maximum.at(thickest, regions[inside], depth[inside])
        sides = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(1)
        rows.append(np.stack([sides, np.maximum(1, 2 * thickest[1:] - 1)], 1))
    return np.concatenate(rows).astype(np.float32) if rows else np.zeros((0, 2), np.float32)


def describe_classes(labelled: Iterable[Labelled], classes: Sequence[str]) -> list[str]:
    """Lines with the share of each class and the number of images that hold it."""
    pixels = np.array([item.pixels for item in labelled])
    shares = 100 * pixels.sum(0) / max(1, pixels.sum())
    width = max(map(len, classes))
    return [
        f'  {name:<{width}}  {share:9.4f} % of the pixels, in {count} images'
        for name, share, count in zip(classes, shares, (pixels > 0).sum(0))
    ]
