"""Table, curves and overlays of the runs of a project."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wtaseg.io import write
from wtaseg.report import overlays
from wtaseg.report.found import draw_found
from wtaseg.report.labels import row_labels
from wtaseg.report.overlays import choose_images, draw_overlay, predicted_images, read_labels
from wtaseg.report.page import Image, Page, RowSettings, RunLine
from wtaseg.report.plots import METRICS, Curve, curve_name, draw_bars, draw_curves, png
from wtaseg.report.summary import Marking, Row, Summary, Table
from wtaseg.runs.inspection import found_at, found_target
from wtaseg.runs.outputs import ClassScore, is_smoke_run
from wtaseg.runs.records import RunRecord
from wtaseg.runs.select import score


def tabulate(runs: Sequence[RunRecord]) -> Table:
    """The table of the tested runs, grouped by model, in the form of the published results.

    Where no run has been tested, the rows are the best validations. Marked is the best value of each column within its group; where no model has a second row, the best of all.
    """
    tested = [run for run in runs if run.finished]
    validated = not tested
    if validated:
        runs = tested = [best_validation(run) for run in runs if run.validations]
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
    target = found_target(run.inspection for run in ordered)
    alone = all(len(group) == 1 for group in groups.values())
    return Table(
        columns=('Model', 'Trained on'),
        classes=classes,
        rows=tuple(Row(run.spec.model, labels[run.name], summaries(run, classes, target)) for run in ordered),
        marking=Marking.BEST if alone else Marking.BEST_IN_GROUP,
        over_seeds=False,
        unfinished=tuple(run.name for run in runs if not run.finished),
        found_target=target,
        smoke=any(is_smoke_run(run.path) for run in tested),
        validated=validated,
    )


def best_validation(run: RunRecord) -> RunRecord:
    """A run with the metrics of its best validation in place of those of a test."""
    metrics = max(run.validations.items(), key=lambda item: (score(item[1]), item[0]))[1]
    names = [key.removeprefix('IoU.') for key in metrics if key.startswith('IoU.')]
    names = [name for name in dict.fromkeys((*run.spec.classes, *names)) if f'IoU.{name}' in metrics]
    scores = {
        name: ClassScore(metrics[f'IoU.{name}'], metrics.get(f'Acc.{name}', math.nan)) for name in names
    }
    spec = run.spec if run.spec.classes else replace(run.spec, classes=tuple(names))
    return replace(run, scores=scores, spec=spec)


def foreground_classes(runs: Sequence[RunRecord]) -> tuple[str, ...]:
    """Names of the foreground classes that any run was tested on."""
    return tuple(dict.fromkeys(name for run in runs for name in run.foreground))


def summaries(run: RunRecord, classes: Sequence[str], target: float | None = None) -> tuple[Summary, ...]:
    """A run's metrics in the order of :func:`~wtaseg.report.summary.metric_titles`."""
    scores = [run.foreground.get(name) for name in classes]
    values = [getattr(score, kind) if score else None for score in scores for kind in ('iou', 'acc')]
    found = [] if target is None else [found_at(run.inspection, name, target) for name in classes]
    return tuple(Summary.of([value]) for value in (*values, run.foreground_miou, run.foreground_macc, *found))


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


def draw_results(runs: Sequence[RunRecord], labels: Sequence[str]) -> list[Image]:
    """``test_set_eval.png`` and ``<class>_found.png`` of the tests; ``<class>_iou.png``, ``<class>_acc.png`` of the validations.

    Args:
        runs: of a project.
        labels: one for each run.

    Returns:
        The images; those without any value are left out.
    """
    images = []
    smoke = any(is_smoke_run(run.path) for run in runs)
    for name in validated_classes(runs):
        for metric in METRICS:
            curves = [Curve(label, validated(run, f'{metric}.{name}')) for run, label in zip(runs, labels)]
            if figure := draw_curves(curves, name, metric, smoke=smoke):
                caption = f'{metric} of {name} on the validation set'
                images.append(Image(f'{curve_name(name, metric)}.png', png(figure), caption))
    tested = [(run, label) for run, label in zip(runs, labels) if run.finished]
    classes = foreground_classes([run for run, _ in tested])
    rows = [Row('', label, summaries(run, classes)) for run, label in tested]
    if figure := draw_bars(rows, [label for _, label in tested], classes, smoke):
        images.append(Image('test_set_eval.png', png(figure), 'IoU and accuracy on the test set', wide=True))
    inspections = [(label, [run.inspection] if run.inspection else []) for run, label in tested]
    images += draw_found(inspections, classes)
    return images


def validated(run: RunRecord, key: str) -> Mapping[int, Summary]:
    """A metric of a run's validations, ``'IoU.broken'``, by iteration."""
    return {step: Summary.of([metrics[key]]) for step, metrics in run.validations.items() if key in metrics}


def draw_overlays(
    runs: Sequence[RunRecord], labels: Sequence[str], count: int = 6, names: Sequence[str] = ()
) -> list[Image]:
    """``<name>.png`` of some test images, with a panel for each run.

    Args:
        runs: tested runs of a project.
        labels: one for each run.
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
    images = []
    for name in chosen:
        predictions = {label: files[name].prediction for label, files in zip(labels, predicted)}
        image = draw_overlay(first[name], predictions, spec.classes, spec.palette)
        caption = f'Test image {name} with its labels and the predictions'
        images.append(Image(f'{name}.png', overlays.png(image), caption, wide=True))
    return images


def write_images(images: Iterable[Image], folder: Path) -> list[Path]:
    """Write the images; returns the files."""
    paths = []
    for image in images:
        write(folder / image.name, image.png)
        paths.append(folder / image.name)
    return paths


def make_page(project: Path, runs: Sequence[RunRecord], table: Table, images: Sequence[Image]) -> Page:
    """The page of a project: its table, images, and what each run was trained with."""
    return Page(
        name=project.resolve().name,
        title=f'Results of {project.resolve().name}',
        table=table,
        images=tuple(sorted(images, key=lambda image: not image.wide)),
        settings=tuple(_settings(run) for run in runs),
        runs=tuple(_run_line(run, table) for run in runs),
    )


def _settings(run: RunRecord) -> RowSettings:
    spec = run.spec
    lines = {
        'Dataset': spec.dataset,
        'Augmentation': 'none' if spec.augmentation is None else spec.augmentation or 'unknown word',
        'Loss': spec.loss_label(parameters=True),
        'Seed': '' if spec.seed is None else str(spec.seed),
        'Overrides': ' '.join(spec.overrides),
    }
    return RowSettings(
        run.name,
        spec.config or 'unknown config',
        tuple(f'{key}: {text}' for key, text in lines.items() if text),
    )


def _run_line(run: RunRecord, table: Table) -> RunLine:
    numbers = (summary.mean for summary in summaries(run, table.classes, table.found_target))
    return RunLine.of(
        name=run.name,
        status=run.status,
        error=run.error,
        metrics=tuple(numbers),
        checkpoint=run.checkpoint,
        iteration_seconds=run.iteration_seconds,
        memory_mib=run.memory_mib,
        seconds=run.seconds,
    )
