"""Curves of the validations and bars of the test for the runs of a project.

    python tools/analysis_tools/plot_curves.py work_dirs/<project> [--runs DIR/MODEL …] [--labels TEXT …]

writes ``<class>_iou.png`` and ``<class>_acc.png`` for every defect class, over the iterations, and
``test_set_eval.png`` with the IoU and accuracy that the test gave.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np

from wtaseg.io import draft
from wtaseg.runs.records import RunResult, choose_runs, read_project, run_labels

# Okabe and Ito's palette (2008), told apart with every common colour blindness; yellow is left out, it is too
# pale for lines on white
PALETTE = ('#0072B2', '#E69F00', '#009E73', '#D55E00', '#CC79A7', '#56B4E9', '#000000')
MARKERS = 'osD^vPX*'  # one more than colours: none comes back with the same colour
LINES = ('-', '--', ':', '-.')
METRICS = {'IoU': 'IoU (%)', 'Acc': 'Accuracy (%)'}


def curve_classes(runs: Sequence[RunResult]) -> list[str]:
    """The defect classes of which validations have been logged; class 0 is the first that is logged."""
    names = []
    for run in runs:
        for row in run.validations.values():
            names += [key.removeprefix('IoU.') for key in row if key.startswith('IoU.')][1:]
    return list(dict.fromkeys(names))


def plot_curve(runs: Sequence[RunResult], labels: Sequence[str], name: str, metric: str, path: Path) -> bool:
    """One class and metric (``'IoU'`` or ``'Acc'``) of several runs over the iterations, as a picture.

    Returns:
        Whether any run has such values; without them no picture is written.
    """
    key = f'{metric}.{name}'
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout='constrained')
    drawn = 0
    for index, (run, label) in enumerate(zip(runs, labels)):
        points = [(step, row[key]) for step, row in run.validations.items() if _is_number(row.get(key))]
        if not points:
            continue
        axes.plot(
            *zip(*points),
            label=label,
            color=PALETTE[index % len(PALETTE)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle=LINES[index // len(PALETTE) % len(LINES)],
            markersize=6,
            linewidth=1.8,
            # runs that lie on one another, as at zero, stay visible through their white rims
            markeredgecolor='white',
            markeredgewidth=0.7,
        )
        drawn += 1
    if drawn:
        axes.set(title=f"{name}'s {metric} per iter (validation)", xlabel='Iteration', ylabel=METRICS[metric])
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.4)
        if drawn > 6:
            axes.legend(loc='upper left', bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9)
            figure.set_size_inches(10.5, 4.6)
        else:
            axes.legend(loc='best', fontsize=9)
        _save(figure, path)
    plt.close(figure)
    return bool(drawn)


def plot_bars(runs: Sequence[RunResult], labels: Sequence[str], path: Path) -> bool:
    """IoU and accuracy of every defect class, one group of bars a tested run, as a picture.

    Returns:
        Whether any run has been tested; without one no picture is written.
    """
    tested = [(run, label) for run, label in zip(runs, labels) if run.finished]
    if not tested:
        return False
    classes = list(dict.fromkeys(name for run, _ in tested for name in run.defects))
    figure, panels = plt.subplots(1, 2, figsize=(max(9, 3 + 1.9 * len(tested)), 5.6), layout='constrained')
    width = 0.8 / len(classes)
    for axes, (attribute, title) in zip(panels, (('iou', 'IoU'), ('acc', 'Accuracy'))):
        for index, name in enumerate(classes):
            values = [getattr(run.defects.get(name), attribute, math.nan) for run, _ in tested]
            places = np.arange(len(tested)) + (index - (len(classes) - 1) / 2) * width
            bars = axes.bar(
                places,
                np.nan_to_num(values),
                width * 0.94,
                label=name.capitalize(),
                # sky blue and vermilion first, as near to the published chart as the palette goes
                color=('#56B4E9', '#D55E00', '#009E73', '#CC79A7')[index % 4],
            )
            texts = ['n/a' if math.isnan(value) else f'{value:.1f}' for value in values]
            axes.bar_label(bars, texts, padding=2, fontsize=8)
        axes.set(title=title, ylabel=f'{title} (%)')
        axes.set_xticks(range(len(tested)), [label for _, label in tested], rotation=30, ha='right')
        axes.margins(y=0.12)
        axes.legend(loc='upper left', bbox_to_anchor=(0, 1), ncols=len(classes), fontsize=9)
        axes.set_ylim(top=axes.get_ylim()[1] * 1.08)
        axes.grid(axis='y', alpha=0.3)
        axes.set_axisbelow(True)
    figure.suptitle('Test set')
    _save(figure, path)
    plt.close(figure)
    return True


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _save(figure, path: Path) -> None:
    with draft(path) as part:
        figure.savefig(part, dpi=130, format='png')


def plot_project(runs: Sequence[RunResult], labels: Sequence[str], out: Path) -> list[Path]:
    """Every picture that the runs have figures for; returns the files written."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in curve_classes(runs):
        for metric in METRICS:
            path = out / f'{name}_{metric.lower()}.png'
            if plot_curve(runs, labels, name, metric, path):
                written.append(path)
    path = out / 'test_set_eval.png'
    if plot_bars(runs, labels, path):
        written.append(path)
    return written


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('project', type=Path, help='work_dirs/<project>')
    parser.add_argument('--runs', nargs='+', metavar='DIR/MODEL', help='only these, in this order')
    parser.add_argument('--labels', nargs='+', metavar='TEXT', help='names for the legend, one a run')
    parser.add_argument('--out', type=Path, help='folder for the pictures (default: PROJECT/curves)')
    args = parser.parse_args()
    try:
        runs = choose_runs(read_project(args.project), args.runs)
        if args.labels and len(args.labels) != len(runs):
            raise ValueError(f'--labels: {len(args.labels)} given for {len(runs)} runs')
        written = plot_project(runs, args.labels or run_labels(runs), args.out or args.project / 'curves')
    except (FileNotFoundError, ValueError) as error:
        print(f'plot_curves: {error}', file=sys.stderr)
        return 1
    if not written:
        print(f'plot_curves: {args.project}: no run has been validated or tested yet', file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main())
