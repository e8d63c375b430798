"""The edits of an augmented dataset and their files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augment.dataset.manifest import MANIFEST
from augment.dataset.reading import check_label, decode_image, decode_label
from augment.dataset.rows import EditRow
from wtaseg.io import inside


@dataclass(frozen=True)
class Edit:
    """An edit to relabel: its row in the manifest, and paths of the image that was edited, its label and reconstruction.

    There may be no reconstruction.
    """

    row: EditRow
    source: Path
    source_label: Path
    reconstruction: Path

    @classmethod
    def of(cls, root: Path, row: EditRow) -> 'Edit':
        """The edit of ``row`` in the dataset ``root``.

        Raises:
            ValueError: one of its files is a link to the outside.
        """
        paths = (row.edited_image, row.edited_label, row.reconstruction)
        return cls(row, *(inside(root, path, root / MANIFEST) for path in paths))


def read_image(path: Path, value_range: tuple[float, float] | None) -> np.ndarray:
    """The upright image ``(H, W, 3)`` uint8 RGB of a file; deep images are scaled from ``value_range``.

    Raises:
        OSError, ValueError: the file is missing or no image; names it.
    """
    try:
        return decode_image(path.read_bytes(), value_range)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def read_label(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Class ids ``(H, W)`` uint8 of the label of an image of ``size`` (H, W).

    Raises:
        OSError, ValueError: the file is missing, no label, or of another size; names it.
    """
    try:
        ids = decode_label(path.read_bytes())
        check_label(ids, size)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return ids
