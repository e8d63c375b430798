"""What ``wta-seg report`` and its three programs do with a project."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wtaseg.io import write
from wtaseg.report import tables
from wtaseg.report.labels import legend_labels
from wtaseg.report.page import Image, render
from wtaseg.report.project import draw_overlays, draw_results, make_page, tabulate, write_images
from wtaseg.runs.records import RunRecord, choose_runs, read_project

# the page shows what the parts before it have drawn
PARTS = ('table', 'curves', 'overlays', 'page')
COUNT = 6
"""How many test images are overlaid where the user does not say."""


@dataclass
class ProjectReport:
    """The report of a project, part by part; every part prints what it has written.

    Attributes:
        project: ``work_dirs/<project>``, or a work folder of mmsegmentation.
        records: all runs of the project.
        names: the runs to draw, in this order; empty: all.
        labels: one for each drawn run; empty: what tells the runs apart.
        images: what has been drawn so far.
    """

    project: Path
    records: list[RunRecord]
    names: Sequence[str] = ()
    labels: Sequence[str] = ()
    images: list[Image] = field(default_factory=list)

    @classmethod
    def read(
        cls, project: Path, trust: bool = False, names: Sequence[str] = (), labels: Sequence[str] = ()
    ) -> 'ProjectReport':
        """Read the runs; prints on stderr why a recorded config was not read.

        Args:
            project: its folder.
            trust: execute recorded configs that are not made of literals.
            names: runs to draw.
            labels: one for each of them.

        Raises:
            FileNotFoundError: the folder holds no run.
            ValueError: ``names`` has an unknown run, or ``labels`` is of another length.
        """
        report = cls(project, read_project(project, trust=trust), names, labels)
        for run in report.records:
            if run.unread:
                print(f'{run.name}: {run.unread}', file=sys.stderr)
        chosen = choose_runs(report.records, names)
        if labels and len(labels) != len(chosen):
            raise ValueError(f'--labels: {len(labels)} given for {len(chosen)} runs')
        return report

    def _drawn(self, tested: bool = False) -> tuple[list[RunRecord], list[str]]:
        """The runs to draw and their labels; ``tested``: of unnamed runs only those that have been tested."""
        runs = choose_runs(self.records, self.names)
        labels = list(self.labels)
        if tested and not self.names:
            labels = [label for run, label in zip(runs, labels) if run.finished]
            runs = [run for run in runs if run.finished]
        return runs, labels or legend_labels(runs)

    def write(
        self, parts: Sequence[str], folder: Path, images: Sequence[str] = (), count: int | None = None
    ) -> bool:
        """Write the parts into a folder, curves and overlays into folders below it.

        Args:
            parts: some of :data:`PARTS`; empty: all that can be made. A work folder of mmsegmentation, for example,
                has no predictions to overlay; a line on stderr says so.
            folder: where the files go.
            images: for :meth:`overlays`.
            count: for :meth:`overlays`.

        Returns:
            Whether every part is complete; the table is not where the workbook's library is not installed.

        Raises:
            ValueError: no run has been tested, or what was asked for can't be drawn.
        """
        writers = {
            'table': lambda: self.table(folder),
            'curves': lambda: self.curves(folder / 'curves'),
            'overlays': lambda: self.overlays(folder / 'overlays', images, count),
            'page': lambda: self.page(folder),
        }
        asked = parts or self.names or self.labels or images or count is not None
        optional = () if asked else ('curves', 'overlays')
        complete = True
        for part in (part for part in PARTS if part in (parts or PARTS)):
            try:
                writers[part]()
            except ImportError as error:
                print(f'results.xlsx is not written: {error}', file=sys.stderr)
                complete = False
            except ValueError as error:
                if part not in optional:
                    raise
                print(f'no {part}: {error}', file=sys.stderr)
        return complete

    def table(self, folder: Path) -> None:
        """Print the table and write ``results.md``, ``results.csv`` and ``results.xlsx``.

        Raises:
            ValueError: no run has been tested or validated.
            ImportError: the workbook's library is not installed; the other two files are written.
        """
        table = tabulate(self.records)
        if not table.rows:
            raise ValueError(f'{self.project}: no run has been tested yet, nor validated')
        print(tables.markdown(table))
        files = {'results.md': tables.markdown, 'results.csv': tables.csv, 'results.xlsx': tables.xlsx}
        for name, content in files.items():
            write(folder / name, content(table))
        print(f'Written: {folder}/{", ".join(files)}')

    def curves(self, folder: Path) -> None:
        """Write the curves of the validations and the bars of the test.

        Raises:
            ValueError: no run has been validated or tested.
        """
        images = draw_results(*self._drawn())
        if not images:
            raise ValueError(f'{self.project}: no run has been validated or tested yet')
        self._write(images, folder)

    def overlays(self, folder: Path, names: Sequence[str] = (), count: int | None = None) -> None:
        """Write test images with their labels and predictions.

        Args:
            folder: where the files go.
            names: images to draw.
            count: how many to choose where none is named; default: :data:`COUNT`.

        Raises:
            ValueError: no run has been tested, or not on the images that are named.
        """
        count = COUNT if count is None else count
        if count < 1:
            raise ValueError(f'--count: {count}; expected at least 1')
        runs, labels = self._drawn(tested=True)
        if not runs:
            raise ValueError(f'{self.project}: no run has been tested yet')
        self._write(draw_overlays(runs, labels, count, names), folder)

    def page(self, folder: Path) -> None:
        """Write ``results.html``: the table, the images drawn so far, and what each run was trained with."""
        path = folder / 'results.html'
        page = make_page(self.project, self.records, tabulate(self.records), self.images)
        write(path, render(page))
        print(path)

    def _write(self, images: Sequence[Image], folder: Path) -> None:
        self.images += images
        print(*write_images(images, folder), sep='\n')
