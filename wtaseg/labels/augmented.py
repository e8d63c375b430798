"""Labels that are imported into a dataset of ``wta-seg augment``: its manifest says that they were drawn."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from augment.dataset.manifest import MANIFEST, Manifest, update_rows, with_written_label
from augment.dataset.reading import LABELS

from .writing import LabelJob


def dataset_of(out: Path) -> Path | None:
    """The dataset in whose ``ann_dir`` a folder of labels lies; None: in no dataset."""
    folder = out.resolve()
    while folder.name and folder.name != LABELS:
        folder = folder.parent
    return folder.parent if folder.name else None


def without_rejected(jobs: Sequence[LabelJob], out: Path) -> tuple[list[LabelJob], list[str]]:
    """Jobs for labels of images in the dataset, and the names of edits that were rejected and so are left out."""
    root = dataset_of(out)
    if root is None or not (root / MANIFEST).is_file():
        return list(jobs), []
    folder = out.resolve().relative_to(root)
    rejected = {row.label for row in Manifest(root).rows.values() if not row.accepted}
    left_out = [job.name for job in jobs if (folder / f'{job.name}.png').as_posix() in rejected]
    return [job for job in jobs if job.name not in left_out], left_out


def mark_drawn(files: Iterable[Path], out: Path) -> int:
    """Record in the manifest of the dataset, if there is one, that label files were drawn; returns of how many edits."""
    root, files = dataset_of(out), list(files)
    if root is None or not files or not (root / MANIFEST).is_file():
        return 0
    written = {file.resolve().relative_to(root).as_posix() for file in files}
    rows = [row for row in Manifest(root).rows.values() if row.label in written]
    update_rows(root, [with_written_label(root, row) for row in rows])
    return len(rows)
