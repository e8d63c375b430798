"""Curves over the training and bars of the test, means over the seeds with their spread."""

import io
import math
from collections.abc import Sequence

import matplotlib

matplotlib.use('Agg')

import matplotlib.pyplot as plt
import numpy as np

from wtaseg.report.project_plots import LINES, MARKERS, METRICS, PALETTE
from wtaseg.report.study_table import StudyTable
from wtaseg.studies.results import Figure, defect_classes, mean_validations

# attached and broken nearest to the published chart's sky blue and salmon
BARS = ('#56B4E9', '#D55E00', '#009E73', '#CC79A7')
MOST_UPRIGHT, LONGEST_UPRIGHT = 9, 26
"""With more rows or longer labels the bars lie, so that the labels stay readable."""


def draw_all(results: dict, name: str, study: dict) -> dict[str, bytes]:
    """Every picture that the study has figures for: PNGs by file name."""
    pictures = {}
    table = StudyTable(results, study)
    if table.measured:
        pictures[f'{name}_bars.png'] = draw_bars(table)
        if name == 'ratio':
            pictures[f'{name}_shares.png'] = draw_shares(table)
    groups = list(dict.fromkeys(row['group'] for row in study['rows']))
    # several models have curves of their own; groups of other kinds are compared with each other
    split = study['columns'][0] == 'Model'
    for group in groups if split else [None]:
        rows = [row for row in study['rows'] if group in (None, row['group'])]
        tag = f'_{"".join(c for c in group.lower() if c.isalnum())}' if group else ''
        for label in defect_classes(results, study):
            for metric in METRICS:
                picture = draw_curves(results, rows, label, metric, group)
                if picture:
                    pictures[f'{name}{tag}_{label}_{metric.lower()}.png'] = picture
    return pictures


def draw_curves(
    results: dict, rows: Sequence[dict], label: str, metric: str, group: str | None = None
) -> bytes | None:
    """One class and metric ('IoU' or 'Acc') on the validation set; None where no row has it."""
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout='constrained')
    drawn = 0
    for index, row in enumerate(rows):
        points = mean_validations(results, row, f'{metric}.{label}')
        if not points:
            continue
        steps = list(points)
        means = np.array([points[step].mean for step in steps])
        spread = np.nan_to_num(np.array([points[step].deviation for step in steps]))
        color = PALETTE[index % len(PALETTE)]
        axes.plot(
            steps,
            means,
            label=row['label'],
            color=color,
            marker=MARKERS[index % len(MARKERS)],
            linestyle=LINES[index // len(PALETTE) % len(LINES)],
            markeredgecolor='white',
            markeredgewidth=0.7,
        )
        if spread.any():
            axes.fill_between(
                steps, np.maximum(0, means - spread), means + spread, color=color, alpha=0.12, lw=0
            )
        drawn += 1
    if not drawn:
        plt.close(figure)
        return None
    of = f', {group}' if group else ''
    axes.set(
        title=f"{label}'s {metric} per iter (validation{of})", xlabel='Iteration', ylabel=METRICS[metric]
    )
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.4)
    if drawn > 4:
        # below, where it costs no width: pages are read on phones, too
        figure.legend(loc='outside lower center', ncols=2 if drawn > 6 else 3, fontsize=9)
        figure.set_size_inches(7.5, 4.6 + 0.22 * math.ceil(drawn / (2 if drawn > 6 else 3)))
    else:
        axes.legend(loc='best', fontsize=9)
    return _png(figure)


def draw_bars(table: StudyTable) -> bytes:
    """IoU and accuracy of every defect class on the test set, a group of bars a row.

    With several seeds each run is a dot, and a line goes from the lowest to the highest.
    """
    lines = table.measured
    several = len({line.group for line in lines}) > 1
    labels = [f'{line.group} {line.label}' if several else line.label for line in lines]
    upright = len(lines) <= MOST_UPRIGHT and max(map(len, labels)) <= LONGEST_UPRIGHT
    size = (max(9, 3 + 1.7 * len(lines)), 5.8) if upright else (12, 1.5 + 0.42 * len(lines))
    figure, panels = plt.subplots(1, 2, figsize=size, layout='constrained', sharey=not upright)
    width = 0.8 / len(table.classes)
    for kind, axes in enumerate(panels):
        title = ('IoU', 'Accuracy')[kind]
        for index, name in enumerate(table.classes):
            figures = [line.figures[2 * index + kind] for line in lines]
            places = np.arange(len(lines)) + (index - (len(table.classes) - 1) / 2) * width
            _bars(axes, places, figures, width, name.capitalize(), BARS[index % len(BARS)], upright)
        _label_axes(axes, labels, f'{title} (%)', upright, first=kind == 0)
        axes.set_title(title)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc='outside upper right', ncols=len(names), fontsize=9)
    figure.suptitle('Test set', x=0.02, ha='left')
    return _png(figure)


def _bars(
    axes, places, figures: Sequence[Figure], width: float, name: str, color: str, upright: bool
) -> None:
    means = np.nan_to_num([value.mean for value in figures])
    style = dict(label=name, color=color, error_kw=dict(ecolor='#222', lw=1))
    errors = None
    if several := any(value.count > 1 for value in figures):
        ends = [[end(value.values, default=0) for value in figures] for end in (min, max)]
        errors = np.abs(np.array(ends) - means)
    if upright:
        bars = axes.bar(places, means, width * 0.94, yerr=errors, **style)
    else:
        bars = axes.barh(places, means, width * 0.94, xerr=errors, **style)
    if several:
        across = np.repeat(places, [value.count for value in figures])
        along = [run for value in figures for run in value.values]
        spots = (across, along) if upright else (along, across)
        axes.scatter(*spots, s=9, color='white', edgecolors='#222', linewidths=0.7, zorder=3, clip_on=False)
    texts = ['n/a' if math.isnan(value.mean) else f'{value.mean:.1f}' for value in figures]
    axes.bar_label(bars, texts, padding=4 if several else 2, fontsize=8)


def _label_axes(axes, labels: Sequence[str], title: str, upright: bool, first: bool) -> None:
    if upright:
        axes.set_xticks(range(len(labels)), labels, rotation=30, ha='right')
        axes.set_ylabel(title)
        axes.margins(y=0.12)
        axes.grid(axis='y', alpha=0.3)
    else:
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel(title)
        axes.margins(x=0.12, y=0.01)
        axes.grid(axis='x', alpha=0.3)
        if first:
            axes.invert_yaxis()
    axes.set_axisbelow(True)


def draw_shares(table: StudyTable) -> bytes:
    """Every metric over the share of the edited images."""
    figure, panels = plt.subplots(1, 2, figsize=(10.5, 4.4), layout='constrained')
    lines = table.measured
    shares = [float(line.label.rstrip(' %')) for line in lines]
    for kind, axes in enumerate(panels):
        for index, name in enumerate([*table.classes, 'mean']):
            figures = [line.figures[2 * index + kind] for line in lines]
            axes.errorbar(
                shares,
                [value.mean for value in figures],
                np.nan_to_num([value.deviation for value in figures]),
                label=name.capitalize(),
                color=[*BARS[: len(table.classes)], '#000000'][index],
                marker=MARKERS[index % len(MARKERS)],
                capsize=3,
            )
        axes.set(title=('IoU', 'Accuracy')[kind], xlabel='Edited images used (%)', ylabel='%')
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.grid(alpha=0.4)
        axes.legend(fontsize=9)
    return _png(figure)


def _png(figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, dpi=120, format='png')
    plt.close(figure)
    return stream.getvalue()
