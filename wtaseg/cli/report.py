"""``wta-seg report``, also the programs ``results_table.py``, ``plot_curves.py`` and ``plot_overlays.py``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import CycloptsError

from wtaseg.cli import FAILED, MANY, run_alone

if TYPE_CHECKING:
    from wtaseg.runs.records import RunRecord

COUNT = 6
Part = Literal['table', 'curves', 'overlays']
PARTS: tuple[Part, ...] = ('table', 'curves', 'overlays')


def command(
    project: Path,
    /,
    *,
    parts: Annotated[tuple[Part, ...], MANY] = (),
    runs: Annotated[tuple[str, ...], MANY] = (),
    labels: Annotated[tuple[str, ...], MANY] = (),
    images: Annotated[tuple[str, ...], MANY] = (),
    count: int | None = None,
    out: Path | None = None,
    trust: bool = False,
) -> int:
    """Write the results table, the curves and the overlays of a project into its folder.

    Example: ``wta-seg report work_dirs/PROJECT --count 4``

    Writes results.md, results.csv and results.xlsx, curves/CLASS_iou.png, curves/CLASS_acc.png and
    curves/test_set_eval.png, and overlays/IMAGE.png. The table has all tested runs, the images those of --runs.
    A work folder of mmsegmentation is a project, too. No recorded config is executed.

    Parameters
    ----------
    project
        work_dirs/PROJECT
    parts
        only these of: table curves overlays (default: all)
    runs
        draw only these runs, DIR/MODEL, in this order
    labels
        names of the runs for the legends, one for each run
    images
        test images to overlay, without suffix
    count
        how many test images to choose (default: 6)
    out
        folder for the files (default: the project)
    trust
        execute recorded configs that are not made of literals; only for projects of people whom you trust
    """
    if images and count is not None:
        raise CycloptsError(msg='--images and --count exclude each other')
    records = _read(project, trust)
    out = out or project
    writers = {
        'table': lambda: _write_table(records, project, out),
        'curves': lambda: _write_curves(records, project, runs, labels, out / 'curves'),
        'overlays': lambda: _write_overlays(records, project, runs, labels, images, count, out / 'overlays'),
    }
    # a work folder of mmsegmentation has no predictions, but the rest can be reported
    optional = PARTS[1:] if not (parts or runs or labels or images) else ()
    status = 0
    for part in parts or PARTS:
        try:
            status = max(status, writers[part]())
        except ValueError as error:
            if part not in optional:
                raise
            print(f'wta-seg report: no {part}: {error}', file=sys.stderr)
    return status


def table(project: Path, /, *, out: Path | None = None, trust: bool = False) -> int:
    """Write the table of the tested runs of a project as Markdown, CSV and XLSX, and print it.

    The table has the form of the published ones. mIoU and mAcc are the means over the defect classes, without the
    normal class.

    Example: ``python tools/analysis_tools/results_table.py work_dirs/PROJECT``

    Parameters
    ----------
    project
        work_dirs/PROJECT
    out
        folder for the files (default: the project)
    trust
        execute recorded configs that are not made of literals
    """
    return _write_table(_read(project, trust), project, out or project)


def curves(
    project: Path,
    /,
    *,
    runs: Annotated[tuple[str, ...], MANY] = (),
    labels: Annotated[tuple[str, ...], MANY] = (),
    out: Path | None = None,
    trust: bool = False,
) -> int:
    """Draw curves of the validations and bars of the test for the runs of a project.

    Writes CLASS_iou.png and CLASS_acc.png for every defect class, over the iterations, and test_set_eval.png
    with IoU and accuracy of the test.

    Example: ``python tools/analysis_tools/plot_curves.py work_dirs/PROJECT --runs DIR/MODEL DIR/MODEL2``

    Parameters
    ----------
    project
        work_dirs/PROJECT
    runs
        only these, DIR/MODEL, in this order
    labels
        names for the legend, one for each run
    out
        folder for the images (default: PROJECT/curves)
    trust
        execute recorded configs that are not made of literals
    """
    return _write_curves(_read(project, trust), project, runs, labels, out or project / 'curves')


def overlays(
    project: Path,
    /,
    *,
    runs: Annotated[tuple[str, ...], MANY] = (),
    images: Annotated[tuple[str, ...], MANY] = (),
    count: int | None = None,
    out: Path | None = None,
    trust: bool = False,
) -> int:
    """Draw test images of a project side by side: image, ground truth, and the prediction of each run.

    Defects have the colours of the dataset and are ringed at a distance, so that one of five pixels is seen at a
    glance. Without --images the images are spread over small and large defects of every class.

    Example: ``python tools/analysis_tools/plot_overlays.py work_dirs/PROJECT --count 6``

    Parameters
    ----------
    project
        work_dirs/PROJECT
    runs
        only these, DIR/MODEL, in this order
    images
        names of test images, without suffix
    count
        how many images to choose (default: 6)
    out
        folder for the images (default: PROJECT/overlays)
    trust
        execute recorded configs that are not made of literals
    """
    if images and count is not None:
        raise CycloptsError(msg='--images and --count exclude each other')
    records = _read(project, trust)
    return _write_overlays(records, project, runs, (), images, count, out or project / 'overlays')


def _read(project: Path, trust: bool) -> list['RunRecord']:
    """The runs of a project; prints why a recorded config was not read."""
    from wtaseg.runs.records import read_project

    runs = read_project(project, trust=trust)
    for run in runs:
        if run.unread:
            print(f'{run.name}: {run.unread}', file=sys.stderr)
    return runs


def _write_table(runs: Sequence['RunRecord'], project: Path, out: Path) -> int:
    from wtaseg.report import tables
    from wtaseg.report.project import tabulate, write_tables

    results = tabulate(runs)
    if not results.rows:
        raise ValueError(f'{project}: no run has been tested yet')
    print(tables.markdown(results))
    try:
        write_tables(results, out)
    except ImportError as error:
        print(f'results_table: results.xlsx is not written: {error}', file=sys.stderr)
        return FAILED
    print(f'Written: {out}/results.md, results.csv, results.xlsx')
    return 0


def _write_curves(
    runs: Sequence['RunRecord'], project: Path, names: Sequence[str], labels: Sequence[str], out: Path
) -> int:
    from wtaseg.report.project import write_curves
    from wtaseg.runs.records import choose_runs

    chosen = choose_runs(runs, names)
    written = write_curves(chosen, _labels(chosen, labels), out)
    if not written:
        raise ValueError(f'{project}: no run has been validated or tested yet')
    print(*written, sep='\n')
    return 0


def _write_overlays(
    runs: Sequence['RunRecord'],
    project: Path,
    names: Sequence[str],
    labels: Sequence[str],
    images: Sequence[str],
    count: int | None,
    out: Path,
) -> int:
    from wtaseg.report.project import write_overlays
    from wtaseg.runs.records import choose_runs

    count = COUNT if count is None else count
    if count < 1:
        raise ValueError(f'--count: {count}; expected at least 1')
    chosen = [run for run in choose_runs(runs, names) if names or run.finished]
    if not chosen:
        raise ValueError(f'{project}: no run has been tested yet')
    print(*write_overlays(chosen, _labels(chosen, labels), out, count, images), sep='\n')
    return 0


def _labels(runs: Sequence['RunRecord'], labels: Sequence[str]) -> list[str]:
    from wtaseg.report.labels import legend_labels

    if labels and len(labels) != len(runs):
        raise ValueError(f'--labels: {len(labels)} given for {len(runs)} runs')
    return list(labels) or legend_labels(runs)


def main_table(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/results_table.py``."""
    return run_alone(table, argv, 'results_table')


def main_curves(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/plot_curves.py``."""
    return run_alone(curves, argv, 'plot_curves')


def main_overlays(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/plot_overlays.py``."""
    return run_alone(overlays, argv, 'plot_overlays')
