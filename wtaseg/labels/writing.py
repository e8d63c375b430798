"""Write label maps one by one, each atomically, and report every one that failed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from wtaseg.io import draft, remove_drafts

from .classes import ConversionError


@dataclass(frozen=True)
class LabelMap:
    """Class ids ``(H, W)`` uint8, and how many shapes reached beyond the image and were clipped."""

    ids: np.ndarray
    clipped: int = 0


@dataclass(frozen=True)
class LabelJob:
    """One label map to make.

    Attributes:
        name: path of the label file below the output folder, without suffix.
        make: returns the label map; raises :class:`ConversionError`.
    """

    name: str
    make: Callable[[], LabelMap]


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion.

    Attributes:
        written: number of label maps written.
        errors: one message for each that failed.
        present: number of label maps that were there already.
        clipped: number of clipped shapes by label file.
        files: the label maps written.
    """

    written: int
    errors: tuple[str, ...]
    present: int = 0
    clipped: dict[str, int] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def write_labels(jobs: Iterable[LabelJob], out: Path, overwrite: bool = False) -> Conversion:
    """Make and write label maps as 8-bit PNG; run again, it continues with those that are missing.

    Files that an interrupted run was writing are removed first. A file that exists with the same class ids is left as
    it is; with others it is an error.

    Args:
        jobs: the label maps.
        out: folder, usually ``ann_dir/<split>``.
        overwrite: replace existing files that have other class ids.
    """
    remove_drafts(out)
    present, files, errors, clipped = 0, [], [], {}
    for job in jobs:
        target = out / f'{job.name}.png'
        try:
            labels = job.make()
        except ConversionError as error:
            errors.append(str(error))
            continue
        if labels.clipped:
            clipped[str(target)] = labels.clipped
        if _holds(target, labels.ids):
            present += 1
            continue
        if target.exists() and not overwrite:
            errors.append(f'{target} exists with other class ids. Choose another --out, or pass --overwrite.')
            continue
        with draft(target) as part:
            Image.fromarray(labels.ids).save(part, 'PNG')
        files.append(target)
    return Conversion(len(files), tuple(errors), present, clipped, tuple(files))


def _holds(path: Path, ids: np.ndarray) -> bool:
    """Whether a file is a label map with these class ids."""
    try:
        with Image.open(path) as image:
            return image.mode in ('L', 'P') and np.array_equal(np.array(image), ids)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
