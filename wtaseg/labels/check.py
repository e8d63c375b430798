"""Check of a dataset with a progress bar on stderr."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmseg.datasets import WTADataset
from mmseg.datasets.check import check_dataset
from mmseg.datasets.check_report import Report
from wtaseg.report.summary import NORMAL

from .record import read_settings


def check(
    root: str | Path,
    classes: Sequence[str] = (),
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    img_suffix: str | None = None,
    seg_map_suffix: str = '.png',
    workers: int | None = None,
    value_range: Sequence[float] | None = None,
) -> Report:
    """Check every file of a dataset, see :func:`mmseg.datasets.check.check_dataset`.

    Args:
        root: folder with img_dir and ann_dir.
        classes: class names in the order of their ids; empty: those that ``wta-seg new`` has recorded in the dataset,
            else those of WTADataset, the first as tables call it.
        ignore_index: id of ignored pixels.
        reduce_zero_label: label files hold 0 for ignored pixels and classes from 1.
        img_suffix: ending of image files; None: every image, in any case and mixed.
        seg_map_suffix: ending of label files.
        workers: processes; None: one per processor for large datasets.
        value_range: (low, high) that training scales images of more than 8 bits from; None: as recorded.

    Raises:
        FileNotFoundError: the layout img_dir/<split>, ann_dir/<split> does not exist.
    """
    settings = read_settings(Path(root))
    names = (
        tuple(classes) or tuple(settings.get('classes', ())) or (NORMAL, *WTADataset.METAINFO['classes'][1:])
    )
    columns = (TextColumn('checking'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task('checking', total=None)
        return check_dataset(
            root,
            ignore_index=ignore_index,
            classes=names,
            workers=workers,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            value_range=value_range or settings.get('value_range'),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def describe(report: Report) -> str:
    """The class shares of each split, every problem and the notices, as text."""
    notices = ['', *report.notice_lines()] if report.notices else []
    if report.ok:
        return '\n'.join([report.table(), *notices, 'Nothing is wrong.'])
    return '\n'.join([report.table(), '', *report.problem_lines(), *notices])
