"""The table of a study, in the form of the published ones, with mean ± standard deviation over the seeds."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from wtaseg.studies.definitions import AGAINST_FIRST, BEST_IN_GROUP
from wtaseg.studies.results import Figure, defect_classes, done_runs, figure, run_metrics

BOLD, ITALIC = 'bold', 'italic'


@dataclass
class Line:
    """A row: its group and label, a figure and a mark ('', bold, italic) for each metric."""

    group: str
    label: str
    figures: list[Figure]
    runs: int
    wanted: int
    marks: list[str] = field(default_factory=list)


class StudyTable:
    """Means over seeds of a study's rows, marked as the published table is.

    Attributes:
        metrics: 'Attached IoU', 'Attached Acc', …, 'mIoU', 'mAcc'; all in percent, the means without class 0.
        lines: one :class:`Line` a row of the study, also where nothing was measured yet.
    """

    def __init__(self, results: dict, study: dict):
        self.columns = study['columns']
        self.classes = defect_classes(results, study)
        self.metrics = [f'{name.capitalize()} {kind}' for name in self.classes for kind in ('IoU', 'Acc')]
        self.metrics += ['mIoU', 'mAcc']
        self.lines = []
        for row in study['rows']:
            runs = done_runs(results, row)
            values = [run_metrics(run, self.classes) for run in runs]
            figures = [figure([v[i] for v in values]) for i in range(len(self.metrics))]
            self.lines.append(Line(row['group'], row['label'], figures, len(runs), len(row['runs'])))
        self._mark(study['marks'])

    @property
    def measured(self) -> list[Line]:
        """The lines that have figures."""
        return [line for line in self.lines if line.runs]

    def means(self, line: Line) -> list[float]:
        return [figure.mean for figure in line.figures]

    def legend(self, marks: str) -> str:
        """What bold and italic say."""
        return {
            AGAINST_FIRST: 'Bold: above the original images; italic: below.',
            BEST_IN_GROUP: 'Bold: best of its group.',
        }.get(marks, 'Bold: best; italic: second best.')

    def _mark(self, kind: str) -> None:
        groups = dict.fromkeys(line.group for line in self.lines)
        for line in self.lines:
            line.marks = [''] * len(self.metrics)
        for i in range(len(self.metrics)):
            if kind == AGAINST_FIRST:
                self._mark_against(self.lines[0], i)
            elif kind == BEST_IN_GROUP:
                for group in groups:
                    self._mark_best([line for line in self.lines if line.group == group], i, second=False)
            else:
                self._mark_best(self.lines, i, second=True)

    def _mark_against(self, first: Line, i: int) -> None:
        for line in self.lines[1:]:
            value, reference = (_shown(part.figures[i], i, self.metrics) for part in (line, first))
            if value is not None and reference is not None and value != reference:
                line.marks[i] = BOLD if value > reference else ITALIC

    def _mark_best(self, lines: Sequence[Line], i: int, second: bool) -> None:
        values = {_shown(line.figures[i], i, self.metrics) for line in lines} - {None}
        # only a value that beats another is a best one, and nothing found is never second
        if len(values) < 2:
            return
        ranking = sorted(values, reverse=True)
        for line in lines:
            value = _shown(line.figures[i], i, self.metrics)
            if value == ranking[0]:
                line.marks[i] = BOLD
            elif second and value == ranking[1] and value > 0:
                line.marks[i] = ITALIC

    def cell(self, line: Line, i: int) -> str:
        """A figure as text: ``26.125``, ``30.04 ± 1.20``, or a dash."""
        value = line.figures[i]
        if math.isnan(value.mean):
            return '–'
        digits = decimals(self.metrics[i], value)
        text = f'{value.mean:.{digits}f}'
        text = text.removesuffix('0') if digits == 3 else text
        return text if math.isnan(value.deviation) else f'{text} ± {value.deviation:.2f}'

    def label(self, line: Line) -> str:
        """The row's label, with the number of runs where some are missing."""
        return line.label if line.runs == line.wanted else f'{line.label} ({line.runs} of {line.wanted} runs)'

    def markdown(self) -> str:
        """The table as Markdown."""
        header = [*self.columns, *(f'{name} ↑' for name in self.metrics)]
        lines = [
            '| ' + ' | '.join(header) + ' |',
            '|' + '|'.join(['---', '---'] + ['---:'] * len(self.metrics)) + '|',
        ]
        shown = None
        around = {BOLD: '**{}**', ITALIC: '_{}_', '': '{}'}
        for line in self.lines:
            group = f'**{line.group}**' if line.group != shown else ''
            shown = line.group
            cells = [around[line.marks[i]].format(self.cell(line, i)) for i in range(len(self.metrics))]
            lines.append('| ' + ' | '.join([group, self.label(line), *cells]) + ' |')
        return '\n'.join(lines) + '\n'

    def flat_header(self) -> list[str]:
        """Column titles where mean and standard deviation have columns of their own."""
        columns = [title or 'Group' for title in self.columns]
        return [*columns, *(text for name in self.metrics for text in (name, f'{name} SD')), 'Runs']

    def flat_rows(self) -> list[list]:
        """Rows to :meth:`flat_header`; None: not measured."""
        rows = []
        for line in self.lines:
            values = []
            for i, value in enumerate(line.figures):
                digits = decimals(self.metrics[i], value)
                for number in (value.mean, value.deviation):
                    values.append(None if math.isnan(number) else round(number, digits))
            rows.append([line.group, line.label, *values, line.runs])
        return rows

    def csv(self) -> str:
        """The table as CSV, one header line; what was not measured is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(self.flat_header())
        writer.writerows([['' if value is None else value for value in row] for row in self.flat_rows()])
        return text.getvalue()

    def xlsx(self, results: dict, study: dict) -> bytes:
        """The table and, on a second sheet, every run, as a workbook of numbers.

        Raises:
            ImportError: openpyxl is not installed.
        """
        try:
            from openpyxl import Workbook
            from openpyxl.styles import Font
        except ImportError as error:
            raise ImportError(
                "the workbook needs openpyxl; install the extra: pip install -e '.[table]'"
            ) from error
        book = Workbook()
        sheet = book.active
        sheet.title = 'Table'
        _fill(sheet, [self.flat_header(), *self.flat_rows()], Font)
        for cells, line in zip(sheet.iter_rows(min_row=2), self.lines):
            for i, mark in enumerate(line.marks):
                if mark:
                    cells[2 + 2 * i].font = Font(bold=mark == BOLD, italic=mark == ITALIC)
        runs = book.create_sheet('Runs')
        columns = [title or 'Group' for title in self.columns]
        rows = [[*columns, 'Seed', *self.metrics, 'Status', 'Run']]
        for row in study['rows']:
            for name in row['runs']:
                run = results['runs'][name]
                metrics = run_metrics(run, self.classes)
                rows.append([row['group'], row['label'], run['seed'], *metrics, run['status'], name])
        _fill(runs, rows, Font)
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()


def _fill(sheet, rows: Sequence[Sequence], font) -> None:
    for row in rows:
        sheet.append(list(row))
    for cell in sheet[1]:
        cell.font = font(bold=True)
    for column in sheet.columns:
        width = max(len(str(cell.value if cell.value is not None else '')) for cell in column)
        sheet.column_dimensions[column[0].column_letter].width = min(60, width + 2)
    sheet.freeze_panes = 'C2'


def decimals(metric: str, value: Figure) -> int:
    """Two, but three for a single run's mean over classes, as in the published tables."""
    return 3 if metric in ('mIoU', 'mAcc') and math.isnan(value.deviation) else 2


def _shown(value: Figure, i: int, metrics: Sequence[str]) -> float | None:
    """A mean as the table shows it: what looks equal counts as equal."""
    return None if math.isnan(value.mean) else round(value.mean, decimals(metrics[i], value))
