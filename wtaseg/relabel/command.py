"""Propose labels for the edits of an augmented dataset."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from augment.dataset.manifest import MANIFEST, REVIEW, Manifest
from augment.dataset.reading import LABELS
from augment.files import copy_file, is_hidden
from mmseg.processes import locked
from wtaseg.io import remove_drafts
from wtaseg.relabel.edits import Edit
from wtaseg.relabel.options import ProposalOptions
from wtaseg.relabel.relabeller import Relabeller, RelabelSummary
from wtaseg.relabel.segmenter import Segmenter
from wtaseg.relabel.sheet import SHEET, write_sheet
from wtaseg.review.items import is_augmented

BATCH = 16
"""Labels that are written before the manifest is."""


def relabel(
    root: Path, options: ProposalOptions, segmenter: Segmenter | None = None, sheet_rows: int = 12
) -> RelabelSummary:
    """Propose a label for every accepted edit whose label is a copy, or a proposal made in another way.

    Labels that a person has drawn or reviewed stay as they are.

    Args:
        root: the dataset, as ``wta-seg augment`` wrote it.
        options: of the proposals.
        segmenter: gives the probability of a defect in an edit.
        sheet_rows: edits on the contact sheet; 0: none is written.

    Raises:
        FileNotFoundError, ValueError: it is no augmented dataset, or a file of it can't be used.
        FolderInUseError: it is being reviewed or relabelled.
    """
    require_augmented(root)
    with locked(root / REVIEW / '.lock', f'the review of {root}'):
        for folder in (LABELS, REVIEW):
            remove_drafts(root / folder)
        relabeller, summary = Relabeller(root, options, segmenter), RelabelSummary(root)
        edits = [Edit.of(root, row) for row in Manifest(root).rows.values() if row.accepted]
        todo, own = [], []
        for edit in edits:
            if reason := relabeller.left_because(edit.row):
                summary.left[reason] += 1
                continue
            own.append(edit)
            if relabeller.is_done(edit):
                summary.before += 1
            else:
                todo.append(edit)
        columns = (TextColumn('proposing labels'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task('', total=len(todo))
            for start in range(0, len(todo), BATCH):
                relabeller.write(todo[start : start + BATCH], summary, lambda: progress.advance(task))
        if sheet_rows and own:
            summary.sheet = root / SHEET
            write_sheet(root, own, sheet_rows, relabeller.value_range)
        return summary


def require_augmented(root: Path) -> None:
    """Raises ``FileNotFoundError`` where ``wta-seg augment`` has not written the dataset ``root``."""
    if not is_augmented(root):
        raise FileNotFoundError(
            f'{root} has no {MANIFEST}; give a dataset that wta-seg augment wrote, such as data/wta_512_aug_peeling'
        )


def copy_dataset(root: Path, out: Path) -> Path:
    """Copy a finished augmented dataset to ``out``, unless a copy is there already; returns ``out``.

    The manifest is copied last, so that a copy without it is continued.

    Raises:
        FileNotFoundError, ValueError: ``root`` is no augmented dataset, its edits are not finished, or one of the folders
            contains the other.
    """
    require_augmented(root)
    source, target = root.resolve(), out.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise ValueError(f'--out: {out} and {root} lie in one another; choose a folder apart from it')
    if (out / MANIFEST).is_file():
        return out
    if not (root / MANIFEST).is_file():
        raise ValueError(f'{root} has no {MANIFEST} yet; let wta-seg augment finish, then copy it')
    files = [path for path in sorted(root.rglob('*')) if path.is_file() and not is_hidden(path, root)]
    for path in files:
        if path != root / MANIFEST:
            copy_file(path, out / path.relative_to(root))
    copy_file(root / MANIFEST, out / MANIFEST)
    return out
