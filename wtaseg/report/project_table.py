"""Table of the test results of a project, in the form of the published ones.

    python tools/analysis_tools/results_table.py work_dirs/<project>

writes ``results.md``, ``results.csv`` and ``results.xlsx`` into the project and prints the first. mIoU and mAcc
are the means over the defects, without class 0.
"""

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from wtaseg.io import draft, write
from wtaseg.runs.records import RunResult, label_runs, read_project


class ResultsTable:
    """Rows of finished runs, grouped by model; the best value of each column within its group.

    Where no model has a second row, all rows are compared with each other.
    """

    def __init__(self, runs: Sequence[RunResult]):
        finished = [run for run in runs if run.finished]
        self.unfinished = [run.name for run in runs if not run.finished]
        labels = dict(zip((run.name for run in finished), label_runs(finished)))
        order: dict[str, list[RunResult]] = {}
        for run in finished:
            order.setdefault(run.model, []).append(run)
        # augmented before original, as the published results have it
        groups = [
            sorted(group, key=lambda run: (run.augmentation is None, run.name)) for group in order.values()
        ]
        self.runs = [run for group in groups for run in group]
        self.classes = list(dict.fromkeys(name for run in self.runs for name in run.defects))
        self.header = ['Model', 'Trained on']
        for name in self.classes:
            self.header += [f'{name.capitalize()} IoU', f'{name.capitalize()} Acc']
        self.header += ['mIoU', 'mAcc']
        self.rows = [[run.model, labels[run.name], *self._values(run)] for run in self.runs]
        self.best = self._best(groups)

    def _values(self, run: RunResult) -> list[float]:
        """The figures of one row, in percent, two decimals a class and three a mean; NaN: not measured."""
        values = []
        for name in self.classes:
            score = run.defects.get(name)
            values += [round(score.iou, 2), round(score.acc, 2)] if score else [math.nan, math.nan]
        return [*values, round(run.defect_miou, 3), round(run.defect_macc, 3)]

    def _best(self, groups: list[list[RunResult]]) -> list[list[bool]]:
        """For each cell whether it is the best of its column, among the rows it is compared with."""
        if all(len(group) == 1 for group in groups):
            groups = [[run for group in groups for run in group]]
        best = []
        start = 0
        for group in groups:
            rows = self.rows[start : start + len(group)]
            start += len(group)
            # only a value that beats another is a best one
            columns = [{v for v in column if not math.isnan(v)} for column in list(zip(*rows))[2:]]
            top = [None, None, *(max(column) if len(column) > 1 else None for column in columns)]
            best += [[t is not None and v == t for v, t in zip(row, top)] for row in rows]
        return best

    def markdown(self) -> str:
        """The table as Markdown, model names at the first row of their group, best values in bold."""
        lines = [
            '| ' + ' | '.join(self.header) + ' |',
            '|' + '|'.join(['---', '---'] + ['---:'] * (len(self.header) - 2)) + '|',
        ]
        shown = None
        for row, best in zip(self.rows, self.best):
            model = f'**{row[0]}**' if row[0] != shown else ''
            shown = row[0]
            cells = [f'**{_text(v)}**' if top else _text(v) for v, top in zip(row[2:], best[2:])]
            lines.append('| ' + ' | '.join([model, row[1], *cells]) + ' |')
        if any(math.isnan(value) for row in self.rows for value in row[2:]):
            lines += ['', '–: the test set has no pixel of this class; it is left out of the means.']
        if self.unfinished:
            lines += [
                '',
                'Without test results yet: ' + ', '.join(f'`{name}`' for name in self.unfinished) + '.',
            ]
        return '\n'.join(lines) + '\n'

    def csv(self) -> str:
        """The table as CSV, one header line; what was not measured is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(self.header)
        for row in self.rows:
            writer.writerow([*row[:2], *('' if math.isnan(v) else _text(v) for v in row[2:])])
        return text.getvalue()

    def save_xlsx(self, path: Path) -> None:
        """The table as a workbook, figures as numbers.

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
        sheet.title = 'Results'
        sheet.append(self.header)
        for row in self.rows:
            sheet.append([None if isinstance(v, float) and math.isnan(v) else v for v in row])
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for cells, best in zip(sheet.iter_rows(min_row=2), self.best):
            for cell, top in zip(cells, best):
                if top:
                    cell.font = Font(bold=True)
        for column, title in zip(sheet.columns, self.header):
            width = max(len(str(cell.value or '')) for cell in column)
            sheet.column_dimensions[column[0].column_letter].width = max(width, len(title)) + 2
        sheet.freeze_panes = 'C2'
        with draft(path) as part:
            book.save(part)


def _text(value: float) -> str:
    """Two decimals, a third one where a mean has it: 29.07, 26.125."""
    if math.isnan(value):
        return '–'
    text = f'{value:.3f}'
    return text.removesuffix('0')


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('project', type=Path, help='work_dirs/<project>')
    parser.add_argument('--out', type=Path, help='folder for the files (default: the project)')
    args = parser.parse_args()
    try:
        table = ResultsTable(read_project(args.project))
    except FileNotFoundError as error:
        print(f'results_table: {error}', file=sys.stderr)
        return 1
    if not table.runs:
        print(f'results_table: {args.project}: no run has been tested yet', file=sys.stderr)
        return 1
    out = args.out or args.project
    out.mkdir(parents=True, exist_ok=True)
    write(out / 'results.md', table.markdown())
    write(out / 'results.csv', table.csv())
    print(table.markdown())
    try:
        table.save_xlsx(out / 'results.xlsx')
    except ImportError as error:
        print(f'results_table: results.xlsx is not written: {error}', file=sys.stderr)
        return 1
    print(f'Written: {out}/results.md, results.csv, results.xlsx')
    return 0


if __name__ == '__main__':
    sys.exit(main())
