"""Curves of validations and bars of tests, for single runs and for means over seeds.

Figures are made without pyplot, so that no state outlives them.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wtaseg.palette import SERIES, series_style
from wtaseg.report.summary import Row, Summary, Table

METRICS = {'IoU': 'IoU (%)', 'Acc': 'Accuracy (%)'}
"""Metrics of a class by the prefix of their key in a log, and their axis titles."""
# with more rows or longer labels bars are horizontal, so that the labels stay readable
MAX_UPRIGHT_ROWS = 9
MAX_UPRIGHT_LABEL = 26
DPI = 120
DARK = '#222'


@dataclass(frozen=True)
class Curve:
    """A metric over the iterations: a summary over the seeds for each step."""

    label: str
    points: Mapping[int, Summary]


def curve_name(class_name: str, metric: str) -> str:
    """File name of a curve, without suffix: ``broken_iou``."""
    return f'{class_name}_{metric.lower()}'


def draw_curves(curves: Sequence[Curve], class_name: str, metric: str, detail: str = '') -> Figure | None:
    """One class and metric (a key of :data:`METRICS`) on the validation set.

    Bands are one standard deviation wide to each side. ``detail`` is added to the title.

    Returns:
        None where no curve has a point.
    """
    figure = Figure(figsize=(7.5, 4.6), layout='constrained')
    axes = figure.subplots()
    drawn = 0
    for index, curve in enumerate(curves):
        # the index counts empty curves too: a run has one colour in the curves of all classes
        points = {step: point for step, point in curve.points.items() if not math.isnan(point.mean)}
        if points:
            # later curves are drawn over earlier ones; their smaller markers leave equal ones, as at zero, visible
            marker_size = 10 - 4.5 * index / len(curves)
            _draw_curve(axes, curve.label, points, series_style(index), marker_size)
            drawn += 1
    if not drawn:
        return None
    axes.set(
        title=f"{class_name}'s {metric} per iter (validation{f', {detail}' if detail else ''})",
        xlabel='Iteration',
        ylabel=METRICS[metric],
    )
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.4)
    if drawn > 4:
        # below, where it costs no width: pages are read on phones, too
        columns = 2 if drawn > 6 else 3
        figure.legend(loc='outside lower center', ncols=columns, fontsize=9)
        figure.set_size_inches(7.5, 4.6 + 0.22 * math.ceil(drawn / columns))
    else:
        axes.legend(loc='best', fontsize=9)
    return figure


def _draw_curve(
    axes: Axes, label: str, points: Mapping[int, Summary], style: dict[str, str], marker_size: float
) -> None:
    steps = list(points)
    means = np.array([point.mean for point in points.values()])
    stds = np.nan_to_num(np.array([point.std for point in points.values()]))
    axes.plot(
        steps,
        means,
        label=label,
        linewidth=1.8,
        markersize=marker_size,
        markeredgecolor='white',
        markeredgewidth=0.7,
        **style,
    )
    if stds.any():
        low, high = np.maximum(0, means - stds), means + stds
        axes.fill_between(steps, low, high, color=style['color'], alpha=0.12, lw=0)


def draw_bars(rows: Sequence[Row], labels: Sequence[str], classes: Sequence[str]) -> Figure | None:
    """IoU and accuracy of every foreground class on the test set, a group of bars a row.

    With several seeds each run is a dot, and a line goes from the lowest to the highest.

    Args:
        rows: their first summaries are IoU and accuracy of each class, in turn.
        labels: one a row.
        classes: names of the foreground classes.

    Returns:
        None without rows or classes.
    """
    if not rows or not classes:
        return None
    upright = len(rows) <= MAX_UPRIGHT_ROWS and max(map(len, labels)) <= MAX_UPRIGHT_LABEL
    size = (max(9, 3 + 1.7 * len(rows)), 5.8) if upright else (12, 1.5 + 0.42 * len(rows))
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(1, 2, sharey=not upright)
    width = 0.8 / len(classes)
    for kind, axes in enumerate(panels):
        title = ('IoU', 'Accuracy')[kind]
        for index, name in enumerate(classes):
            summaries = [row.summaries[2 * index + kind] for row in rows]
            places = np.arange(len(rows)) + (index - (len(classes) - 1) / 2) * width
            _draw_class_bars(axes, places, summaries, width, (name, SERIES[index % len(SERIES)]), upright)
        _label_bars(axes, labels, f'{title} (%)', upright, first=kind == 0)
        axes.set_title(title)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc='outside upper right', ncols=len(names), fontsize=9)
    figure.suptitle('Test set', x=0.02, ha='left')
    return figure


def _draw_class_bars(
    axes: Axes,
    places: np.ndarray,
    summaries: Sequence[Summary],
    width: float,
    series: tuple[str, str],
    upright: bool,
) -> None:
    """The bars of one class, ``series`` its name and colour."""
    name, color = series
    means = np.nan_to_num([summary.mean for summary in summaries])
    style = dict(label=name.capitalize(), color=color, error_kw=dict(ecolor=DARK, lw=1))
    errors = None
    if several := any(summary.count > 1 for summary in summaries):
        ends = [[end(summary.values, default=0) for summary in summaries] for end in (min, max)]
        errors = np.abs(np.array(ends) - means)
    if upright:
        bars = axes.bar(places, means, width * 0.94, yerr=errors, **style)
    else:
        bars = axes.barh(places, means, width * 0.94, xerr=errors, **style)
    if several:
        across = np.repeat(places, [summary.count for summary in summaries])
        along = [value for summary in summaries for value in summary.values]
        dots = (across, along) if upright else (along, across)
        axes.scatter(*dots, s=9, color='white', edgecolors=DARK, linewidths=0.7, zorder=3, clip_on=False)
    texts = ['n/a' if math.isnan(summary.mean) else f'{summary.mean:.1f}' for summary in summaries]
    axes.bar_label(bars, texts, padding=4 if several else 2, fontsize=8)


def _label_bars(axes: Axes, labels: Sequence[str], title: str, upright: bool, first: bool) -> None:
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


def draw_shares(table: Table) -> Figure:
    """Every metric over the share of the edited images; the rows' labels are the shares, ``'20 %'``."""
    figure = Figure(figsize=(10.5, 4.4), layout='constrained')
    shares = [float(row.label.rstrip(' %')) for row in table.measured]
    for kind, axes in enumerate(figure.subplots(1, 2)):
        for index, name in enumerate([*table.classes, 'mean']):
            summaries = [row.summaries[2 * index + kind] for row in table.measured]
            style = series_style(index)
            if name == 'mean':
                style['color'] = SERIES[-1]
            means = [summary.mean for summary in summaries]
            stds = np.nan_to_num([summary.std for summary in summaries])
            axes.errorbar(shares, means, stds, label=name.capitalize(), capsize=3, **style)
        axes.set(title=('IoU', 'Accuracy')[kind], xlabel='Edited images used (%)', ylabel='%')
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.grid(alpha=0.4)
        axes.legend(fontsize=9)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=DPI, format='png')
    return stream.getvalue()
