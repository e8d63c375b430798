"""Writes label maps one by one, each atomically, and reports every one that failed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from wtaseg.io import draft

from .classes import ConversionError


@dataclass(frozen=True)
class LabelJob:
    """One label map to make.

    Attributes:
        name: path of the label file below the output folder, without suffix.
        make: returns the class ids ``(H, W)`` uint8; raises :class:`ConversionError`.
    """

    name: str
    make: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion: the number of label maps written, and one message for each that failed."""

    written: int
    errors: tuple[str, ...]


def write_labels(jobs: Iterable[LabelJob], out: Path, overwrite: bool = False) -> Conversion:
    """Make and write label maps as 8-bit PNG.

    Args:
        jobs: the label maps.
        out: folder, usually ``ann_dir/<split>``.
        overwrite: replace existing files.
    """
    written, errors = 0, []
    for job in jobs:
        target = out / f'{job.name}.png'
        if target.exists() and not overwrite:
            errors.append(f'{target} exists. Choose another --out, or pass --overwrite.')
            continue
        try:
            labels = job.make()
        except ConversionError as error:
            errors.append(str(error))
            continue
        with draft(target) as part:
            Image.fromarray(labels).save(part, 'PNG')
        written += 1
    return Conversion(written, tuple(errors))
