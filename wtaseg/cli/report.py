"""``wta-seg report``, also the programs ``results_table.py``, ``plot_curves.py`` and ``plot_overlays.py``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import CycloptsError, Parameter

from wtaseg.cli import FAILED, MANY, run_alone

Part = Literal['table', 'curves', 'overlays', 'page']
Project = Annotated[Path, Parameter(help='work_dirs/PROJECT')]
Runs = Annotated[tuple[str, ...], MANY, Parameter(help='draw only these runs, DIR/MODEL, in this order')]
Labels = Annotated[
    tuple[str, ...], MANY, Parameter(help='names of the runs for the legends, one for each run')
]
Images = Annotated[tuple[str, ...], MANY, Parameter(help='test images to overlay, without suffix')]
Count = Annotated[int | None, Parameter(help='how many test images to choose (default: 6)')]
Trust = Annotated[
    bool,
    Parameter(
        help='execute recorded configs that are not made of literals; only for projects of people whom you trust'
    ),
]


def command(
    project: Project,
    /,
    *,
    parts: Annotated[tuple[Part, ...], MANY] = (),
    runs: Runs = (),
    labels: Labels = (),
    images: Images = (),
    count: Count = None,
    out: Path | None = None,
    trust: Trust = False,
) -> int:
    """Write the results of a project into its folder: table, curves, overlays, and a page with all of them.

    Example: ``wta-seg report work_dirs/PROJECT --count 4``

    Writes results.md, results.csv and results.xlsx, curves/CLASS_iou.png, curves/CLASS_acc.png and
    curves/test_set_eval.png, overlays/IMAGE.png, and results.html, which holds them in one file. The table has all
    tested runs, the images those of --runs. A work folder of mmsegmentation is a project, too. No recorded config is executed.

    Parameters
    ----------
    parts
        only these of: table curves overlays page (default: all)
    out
        folder for the files (default: the project)
    """
    _check_choice(images, count)
    from wtaseg.report.command import ProjectReport

    report = ProjectReport.read(project, trust, runs, labels)
    return 0 if report.write(parts, out or project, images, count) else FAILED


def table(project: Project, /, *, out: Path | None = None, trust: Trust = False) -> int:
    """Write the table of the tested runs of a project as Markdown, CSV and XLSX, and print it.

    The table has the form of the published ones. mIoU and mAcc are the means over the defect classes, without the
    normal class.

    Example: ``python tools/analysis_tools/results_table.py work_dirs/PROJECT``

    Parameters
    ----------
    out
        folder for the files (default: the project)
    """
    from wtaseg.report.command import ProjectReport

    try:
        ProjectReport.read(project, trust).table(out or project)
    except ImportError as error:
        print(f'results_table: results.xlsx is not written: {error}', file=sys.stderr)
        return FAILED
    return 0


def curves(
    project: Project,
    /,
    *,
    runs: Runs = (),
    labels: Labels = (),
    out: Path | None = None,
    trust: Trust = False,
) -> int:
    """Draw curves of the validations and bars of the test for the runs of a project.

    Writes CLASS_iou.png and CLASS_acc.png for every defect class, over the iterations, and test_set_eval.png
    with IoU and accuracy of the test.

    Example: ``python tools/analysis_tools/plot_curves.py work_dirs/PROJECT --runs DIR/MODEL DIR/MODEL2``

    Parameters
    ----------
    out
        folder for the images (default: PROJECT/curves)
    """
    from wtaseg.report.command import ProjectReport

    ProjectReport.read(project, trust, runs, labels).curves(out or project / 'curves')
    return 0


def overlays(
    project: Project,
    /,
    *,
    runs: Runs = (),
    images: Images = (),
    count: Count = None,
    out: Path | None = None,
    trust: Trust = False,
) -> int:
    """Draw test images of a project side by side: image, ground truth, and the prediction of each run.

    Defects have the colours of the dataset and are ringed at a distance, so that one of five pixels is seen at a
    glance. Without --images the images are spread over small and large defects of every class.

    Example: ``python tools/analysis_tools/plot_overlays.py work_dirs/PROJECT --count 6``

    Parameters
    ----------
    out
        folder for the images (default: PROJECT/overlays)
    """
    _check_choice(images, count)
    from wtaseg.report.command import ProjectReport

    ProjectReport.read(project, trust, runs).overlays(out or project / 'overlays', images, count)
    return 0


def _check_choice(images: Sequence[str], count: int | None) -> None:
    if images and count is not None:
        raise CycloptsError(msg='--images and --count exclude each other')


def main_table(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/results_table.py``."""
    return run_alone(table, argv, 'results_table')


def main_curves(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/plot_curves.py``."""
    return run_alone(curves, argv, 'plot_curves')


def main_overlays(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/analysis_tools/plot_overlays.py``."""
    return run_alone(overlays, argv, 'plot_overlays')
