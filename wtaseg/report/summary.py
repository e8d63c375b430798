"""What a table of results holds: rows of means over runs, and which cells are marked as best.

All values are in percent. IoU and accuracy are those of the foreground classes; mIoU and mAcc are the means over
them, without class 0.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NORMAL = 'normal'
"""What class 0 is called in tables, whatever the dataset calls it; WTADataset's METAINFO says 'defect'."""
MISSING = '–'
SMOKE_NOTE = 'smoke run: the results mean nothing'
"""What everything that is made from a trial of a few iterations says."""


class Mark(StrEnum):
    """How a cell is printed."""

    NONE = ''
    BOLD = 'bold'
    ITALIC = 'italic'


class Marking(StrEnum):
    """Which cells of a column are marked. Equal values are marked alike, and one value alone never is."""

    BEST_SECOND = 'best and second'
    BEST_IN_GROUP = 'best in group'
    AGAINST_FIRST = 'against first'
    BEST = 'best'
    MEAN = 'mean'

    @property
    def legend(self) -> str:
        """What bold and italic mean."""
        return {
            Marking.BEST_SECOND: 'Bold: best; italic: second best.',
            Marking.BEST_IN_GROUP: 'Bold: best of its group.',
            Marking.AGAINST_FIRST: 'Bold: above the original images; italic: below.',
            Marking.BEST: 'Bold: best.',
            Marking.MEAN: 'Last row: mean ± sample standard deviation of the rows above.',
        }[self]


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation of one metric over runs.

    Attributes:
        mean: NaN where no run has the metric.
        std: NaN for fewer than two runs.
        values: the metric of each run that has it.
    """

    mean: float
    std: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float | None]) -> 'Summary':
        """Of the runs' values; None and NaN are left out."""
        known = tuple(value for value in values if value is not None and not math.isnan(value))
        mean = statistics.fmean(known) if known else math.nan
        return cls(mean, statistics.stdev(known) if len(known) > 1 else math.nan, known)

    @property
    def count(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        group: text of the first column, printed once for consecutive rows that share it.
        label: text of the second column.
        summaries: one for each metric of the table.
        runs: how many runs the summaries are over.
        expected_runs: how many there are to be.
    """

    group: str
    label: str
    summaries: tuple[Summary, ...]
    runs: int = 1
    expected_runs: int = 1

    @property
    def title(self) -> str:
        """The label, with the number of runs where some are missing."""
        if self.runs == self.expected_runs:
            return self.label
        return f'{self.label} ({self.runs} of {self.expected_runs} runs)'


@dataclass(frozen=True)
class Cell:
    """Text of a metric and how it is marked."""

    text: str
    mark: Mark = Mark.NONE


@dataclass(frozen=True)
class PrintedRow:
    """A row as texts; ``group`` is empty where the row above has the same."""

    group: str
    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Results to be printed.

    Attributes:
        columns: titles of the first two columns.
        classes: names of the foreground classes.
        rows: in the order of print, also those without any result.
        marking: which cells are bold or italic.
        over_seeds: rows are means over several runs; CSV and XLSX then have columns for the std and the runs.
        unfinished: names of runs that have no results yet and no row.
        found_target: most false alarms per image at the operating points whose columns come last; None: no such columns.
        smoke: a run was a trial of a few iterations.
        validated: the rows are best validations of runs that have not been tested, not tests.
        tested_on: the images that the values are of.
    """

    columns: tuple[str, str]
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    marking: Marking
    over_seeds: bool = True
    unfinished: tuple[str, ...] = ()
    found_target: float | None = None
    smoke: bool = False
    validated: bool = False
    tested_on: str = 'test set'

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """``'Attached IoU', 'Attached Acc', …, 'mIoU', 'mAcc'``, then the columns of the defects found."""
        return metric_titles(self.classes, self.found_target)

    @cached_property
    def measured(self) -> tuple[Row, ...]:
        """The rows that have results."""
        return tuple(row for row in self.rows if row.runs)

    @cached_property
    def marks(self) -> tuple[tuple[Mark, ...], ...]:
        """The mark of each cell, by row and metric."""
        import pandas as pd

        values = pd.DataFrame(
            [[self.rounded(row, i) for i in range(len(self.metrics))] for row in self.rows],
            columns=range(len(self.metrics)),
            dtype=float,
        )
        marks = mark_cells(values, [row.group for row in self.rows], self.marking)
        return tuple(tuple(map(Mark, line)) for line in marks.to_numpy())

    def summary(self, row: Row, metric: str) -> Summary:
        """One metric of a row, by its title."""
        return row.summaries[self.metrics.index(metric)]

    def rounded(self, row: Row, index: int) -> float:
        """A mean as it is printed, so that values which look equal count as equal; NaN: not measured."""
        summary = row.summaries[index]
        return round(summary.mean, decimals(self.metrics[index], summary))

    def text(self, row: Row, metric: str) -> str:
        """``26.125``, ``30.04 ± 1.20``, or a dash."""
        summary = self.summary(row, metric)
        if math.isnan(summary.mean):
            return MISSING
        digits = decimals(metric, summary)
        text = f'{summary.mean:.{digits}f}'
        text = text.removesuffix('0') if digits == 3 else text
        return text if math.isnan(summary.std) else f'{text} ± {summary.std:.2f}'

    def printed(self) -> list[PrintedRow]:
        """The rows as texts, with every group's name in its first row alone."""
        lines = []
        previous = None
        for row, marks in zip(self.rows, self.marks):
            cells = tuple(Cell(self.text(row, metric), mark) for metric, mark in zip(self.metrics, marks))
            lines.append(PrintedRow('' if row.group == previous else row.group, row.title, cells))
            previous = row.group
        return lines


def metric_titles(classes: Sequence[str], found_target: float | None = None) -> tuple[str, ...]:
    """Titles of the metrics: IoU and accuracy of each foreground class, the two means, defects found by class."""
    titles = [f'{name.capitalize()} {kind}' for name in classes for kind in ('IoU', 'Acc')]
    if found_target is None:
        return (*titles, 'mIoU', 'mAcc')
    found = (f'{name.capitalize()} found at {found_target:g} FA/image' for name in classes)
    return (*titles, 'mIoU', 'mAcc', *found)


def decimals(metric: str, summary: Summary) -> int:
    """Two, but three for a single run's mean over classes, as in the published tables."""
    return 3 if metric in ('mIoU', 'mAcc') and math.isnan(summary.std) else 2


def mark_cells(values: 'pd.DataFrame', groups: Sequence[str], marking: Marking) -> 'pd.DataFrame':
    """The mark of every cell.

    Args:
        values: one row a table row and one column a metric, higher is better, NaN: not measured.
        groups: the group of each row.
        marking: what is compared with what.

    Returns:
        A frame of the same shape that holds members of :class:`Mark`.
    """
    marks = values.astype(object)
    marks[:] = str(Mark.NONE)
    if values.empty or marking is Marking.MEAN:
        return marks
    if marking is Marking.AGAINST_FIRST:
        first = values.iloc[0]
        return marks.mask(values > first, str(Mark.BOLD)).mask(values < first, str(Mark.ITALIC))
    compared = list(groups) if marking is Marking.BEST_IN_GROUP else [''] * len(values)
    by_group = values.groupby(compared)
    contest = by_group.transform('nunique') > 1
    rank = by_group.rank(method='dense', ascending=False)
    marks = marks.mask(contest & (rank == 1), str(Mark.BOLD))
    if marking is Marking.BEST_SECOND:
        # a class that no run detects has no second best
        marks = marks.mask(contest & (rank == 2) & (values > 0), str(Mark.ITALIC))
    return marks
