"""A contact sheet: sources, their edits, copied and proposed labels."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from augment.dataset.manifest import REVIEW
from augment.dataset.reading import defect_mask
from augment.dataset.summary import (
    INK,
    Cell,
    accepted_edits,
    enlarged,
    outline,
    row_of_cells,
    sheet,
    shown_defect,
    window_of,
)
from augment.files import write_png
from wtaseg.relabel.edits import Edit, read_image, read_label

SHEET = f'{REVIEW}/proposals.png'
TITLES = ('source, its label', 'edit', 'copied label', 'proposed label')


def write_sheet(
    root: Path, edits: Sequence[Edit], count: int, value_range: tuple[float, float] | None
) -> None:
    """Write ``review/proposals.png`` with at most ``count`` of the edits, always the same ones.

    All cells of a line show the same window around the largest defect that was edited.

    Args:
        root: the dataset.
        edits: those that have a proposed label.
        count: most lines.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits.

    Raises:
        OSError, ValueError: a file is missing or can't be used; names it.
    """
    chosen = np.random.default_rng(0).permutation(len(edits))[:count]
    strips = [row_of_cells(_cells(root, edits[i], value_range)) for i in sorted(chosen)]
    write_png(root / SHEET, sheet(TITLES, strips))


def _cells(root: Path, edit: Edit, value_range: tuple[float, float] | None) -> list[Cell]:
    source, edited = (read_image(path, value_range) for path in (edit.source, root / edit.row.file))
    copied, proposed = (
        read_label(path, edited.shape[:2]) for path in (edit.source_label, root / edit.row.label)
    )
    mask = defect_mask(copied)
    window = window_of(mask.shape, shown_defect(mask, accepted_edits([edit.row], mask.shape)))
    before, after = enlarged(source, window), enlarged(edited, window)
    name = (
        PurePosixPath(edit.row.reconstruction)
        .relative_to(f'{REVIEW}/reconstruction')
        .with_suffix('')
        .as_posix()
    )
    return [
        (outline(before, copied, window), name, INK),
        (after, edit.row.word, INK),
        (outline(after, copied, window), f'{defect_mask(copied).sum()} px', INK),
        (outline(after, proposed, window), f'{defect_mask(proposed).sum()} px', INK),
    ]
