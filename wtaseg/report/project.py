"""Table, curves and overlays of the runs of a project."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wtaseg.io import write
from wtaseg.report import tables
from wtaseg.report.labels import row_labels
from wtaseg.report.overlays import choose_images, draw_overlay, predicted_images, read_labels
from wtaseg.report.plots import METRICS, Curve, curve_name, draw_bars, draw_curves, png
from wtaseg.report.summary import Marking, Row, Summary, Table
from wtaseg.runs.records import RunRecord


def tabulate(runs: Sequence[RunRecord]) -> Table:
    """The table of the tested runs, grouped by model, in the form of the published results.

    Marked is the best value of each column within its group; where no model has a second row, the best of all.
    """
    tested = [run for run in runs if run.finished]
    labels = dict(zip((run.name for run in tested), row_labels(tested)))
    groups: dict[str, list[RunRecord]] = {}
    for run in tested:
        groups.setdefault(run.spec.model, []).append(run)
    # augmented before original, as the published results have it
    ordered = [
        run
        for group in groups.values()
        for run in sorted(group, key=lambda run: (run.spec.augmentation is None, run.spec.name))
    ]
    classes = foreground_classes(ordered)
    alone = all(len(group) == 1 for group in groups.values())
    return Table(
        columns=('Model', 'Trained on'),
        classes=classes,
        rows=tuple(Row(run.spec.model, labels[run.name], summaries(run, classes)) for run in ordered),
        marking=Marking.BEST if alone else Marking.BEST_IN_GROUP,
        over_seeds=False,
        unfinished=tuple(run.name for run in runs if not run.finished),
    )


def foreground_classes(runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """Names of the foreground classes that any run was tested on."""
    return tuple(dict.fromkeys(name for run in runs for name in run.foreground))


def summaries(run: RunRecord, classes: Sequence[str]) -> tuple[Summary, ...]:
    """A run's metrics in the order of :func:`~wtaseg.report.summary.metric_titles`."""
    scores = [run.foreground.get(name) for name in classes]
    values = [getattr(score, kind) if score else None for score in scores for kind in ('iou', 'acc')]
    return tuple(Summary.of([value]) for value in (*values, run.foreground_miou, run.foreground_macc))


def write_tables(table: Table, folder: Path) -> list[Path]:
    """Write ``results.md``, ``results.csv`` and ``results.xlsx``; returns the files.

    Raises:
        ImportError: the workbook's library is not installed; the other two files are written.
    """
    files = {'results.md': tables.markdown, 'results.csv': tables.csv, 'results.xlsx': tables.xlsx}
    for name, content in files.items():
        write(folder / name, content(table))
    return [folder / name for name in files]


def validated_classes(runs: Sequence[RunRecord]) -> list[str]:
    """The foreground classes of which validations have been logged, in the order of their ids."""
    foreground: list[str] = []
    logged: set[str] = set()
    for run in runs:
        keys = dict.fromkeys(key for metrics in run.validations.values() for key in metrics)
        names = [key.removeprefix('IoU.') for key in keys if key.startswith('IoU.')]
        # where the config was not read: the metric logs the classes in the order of their ids
        foreground += run.spec.foreground or names[1:]
        logged.update(names)
    return [name for name in dict.fromkeys(foreground) if name in logged]


def write_curves(runs: Sequence[RunRecord], labels: Sequence[str], folder: Path) -> list[Path]:
    """Write ``<class>_iou.png`` and ``<class>_acc.png`` of the validations and ``test_set_eval.png`` of the tests.

    Args:
        runs: of a project.
        labels: one for each run.
        folder: where the images go.

    Returns:
        The files; images without any value are left out.
    """
    figures = {}
    for name in validated_classes(runs):
        for metric in METRICS:
            curves = [Curve(label, validated(run, f'{metric}.{name}')) for run, label in zip(runs, labels)]
            figures[curve_name(name, metric)] = draw_curves(curves, name, metric)
    tested = [(run, label) for run, label in zip(runs, labels) if run.finished]
    classes = foreground_classes([run for run, _ in tested])
    rows = [Row('', label, summaries(run, classes)) for run, label in tested]
    figures['test_set_eval'] = draw_bars(rows, [label for _, label in tested], classes)
    written = []
    for name, figure in figures.items():
        if figure is not None:
            path = folder / f'{name}.png'
            write(path, png(figure))
            written.append(path)
    return written


def validated(run: RunRecord, key: str) -> Mapping[int, Summary]:
    """A metric of a run's validations, ``'IoU.broken'``, by iteration."""
    return {step: Summary.of([metrics[key]]) for step, metrics in run.validations.items() if key in metrics}


def write_overlays(
    runs: Sequence[RunRecord],
    labels: Sequence[str],
    folder: Path,
    count: int = 6,
    names: Sequence[str] = (),
) -> list[Path]:
    """Write ``<name>.png`` for some test images, with a panel for each run.

    Args:
        runs: tested runs of a project.
        labels: one for each run.
        folder: where the images go.
        count: how many images to choose, spread over small and large regions of every class.
        names: images to draw instead.

    Raises:
        ValueError: the runs have no test image in common, or not one that ``names`` has.
    """
    predicted = [predicted_images(run) for run in runs]
    first = predicted[0]
    common = [name for name in first if all(name in other for other in predicted)]
    if not common:
        raise ValueError('the runs have predicted no image in common; choose some with --runs')
    if missing := [name for name in names if name not in common]:
        raise ValueError(
            f'--images: {missing[0]!r} is not among the predicted test images, e.g. {common[0]!r}'
        )
    chosen = names or choose_images({name: read_labels(first[name].labels) for name in common}, count)
    spec = runs[0].spec
    written = []
    for name in chosen:
        predictions = {label: images[name].prediction for label, images in zip(labels, predicted)}
        figure = draw_overlay(first[name], predictions, spec.classes, spec.palette)
        path = folder / f'{name}.png'
        write(path, png(figure))
        written.append(path)
    return written
