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
from matplotlib.text import Text

from mmseg.visualization.text import font_families
from wtaseg.palette import SERIES, series_style
from wtaseg.report.summary import SMOKE_NOTE, Row, Summary, Table

METRICS = {'IoU': 'IoU (%)', 'Acc': 'Accuracy (%)'}
"""Metrics of a class by the prefix of their key in a log, and their axis titles."""
# with more rows or longer labels bars are horizontal, so that the labels stay readable
MAX_UPRIGHT_ROWS = 9
MAX_UPRIGHT_LABEL = 26
MAX_UPRIGHT_BARS = 24
#: Upper end of an axis on which every value is zero, in percent, and the least of any other.
ZERO_TOP, LEAST_TOP = 10.0, 1.0
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


def draw_curves(
    curves: Sequence[Curve], class_name: str, metric: str, detail: str = '', smoke: bool = False
) -> Figure | None:
    """One class and metric (a key of :data:`METRICS`) on the validation set.

    Bands are one standard deviation wide to each side. ``detail``, and a note for ``smoke`` runs, are added to the
    title.

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
    note = f'\n{SMOKE_NOTE}' if smoke else ''
    axes.set(
        title=f"{class_name}'s {metric} per iter (validation{f', {detail}' if detail else ''}){note}",
        xlabel='Iteration',
        ylabel=METRICS[metric],
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.4)
    columns = 1 if drawn < 3 else 2
    rows = math.ceil(drawn / columns)
    figure.set_size_inches(7.5, 4.2 + 0.22 * rows)
    highest = max(
        point.mean + np.nan_to_num(point.std) for curve in curves for point in curve.points.values()
    )
    set_range(axes, highest, room=0.06 + 0.22 * rows / 4.2)
    axes.legend(loc='upper center', ncols=columns, fontsize=9)
    return figure


def set_range(axes: Axes, highest: float, room: float, upright: bool = True) -> None:
    """Let the axis of values begin at zero, with a little below it, so that marks at zero are seen.

    Args:
        axes: with percent on its y axis.
        highest: greatest value; NaN counts as zero.
        room: share of the axis that stays free above it, for the legend.
        upright: False: the values are on the x axis.
    """
    highest = 0.0 if math.isnan(highest) else highest
    top = ZERO_TOP if highest <= 0 else max(LEAST_TOP, highest * 1.04)
    limits = axes.set_ylim if upright else axes.set_xlim
    limits(-0.02 * top if upright else 0, top / (1 - room))


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


def draw_bars(
    rows: Sequence[Row], labels: Sequence[str], classes: Sequence[str], smoke: bool = False
) -> Figure | None:
    """IoU and accuracy of every foreground class on the test set, a group of bars a row.

    With several seeds each run is a dot, and a line goes from the lowest to the highest.

    Args:
        rows: their first summaries are IoU and accuracy of each class, in turn.
        labels: one a row.
        classes: names of the foreground classes.
        smoke: the title says that the runs were trials.

    Returns:
        None without rows or classes.
    """
    if not rows or not classes:
        return None
    bars = len(rows) * len(classes)
    upright = len(rows) <= MAX_UPRIGHT_ROWS and max(map(len, labels)) <= MAX_UPRIGHT_LABEL
    upright = upright and bars <= MAX_UPRIGHT_BARS
    size = (max(9, 3 + 0.85 * bars), 5.8) if upright else (12, 1.8 + 0.21 * max(2, len(classes)) * len(rows))
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
        values = [
            value
            for row in rows
            for summary in row.summaries[kind : 2 * len(classes) : 2]
            for value in summary.values
        ]
        columns = min(len(classes), 4)
        legend_rows = math.ceil(len(classes) / columns)
        # of horizontal bars the numbers stand beside them, and the legend on the right
        set_range(axes, max(values, default=0.0), 0.08 + 0.05 * legend_rows if upright else 0.32, upright)
        if upright:
            axes.legend(loc='upper center', ncols=columns, fontsize=9)
        else:
            axes.legend(loc='center right', fontsize=9)
    figure.suptitle(f'Test set ({SMOKE_NOTE})' if smoke else 'Test set', x=0.02, ha='left')
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
        axes.grid(axis='y', alpha=0.3)
    else:
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel(title)
        axes.margins(y=0.01)
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
        highest = max(
            (value for row in table.measured for summary in row.summaries for value in summary.values),
            default=0,
        )
        set_range(axes, highest, room=0.2)
        axes.grid(alpha=0.4)
        axes.legend(loc='upper center', ncols=3, fontsize=9)
    if table.smoke:
        figure.suptitle(SMOKE_NOTE)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; texts that DejaVu Sans has no letters for take another font where there is one."""
    texts = figure.findobj(Text)
    families = font_families(text.get_text() for text in texts)
    for text in texts if len(families) > 1 else ():
        text.set_fontfamily(families)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=DPI, format='png')
    return stream.getvalue()
