"""Curves of the defects found over the false alarms per image, on the test set."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from wtaseg.palette import series_style
from wtaseg.report.page import Image
from wtaseg.report.plots import png
from wtaseg.runs.inspection import ClassInspection, Inspection

#: Sizes in ``inspection.json`` and their titles.
SIZES = {
    'all': 'all sizes',
    'to5': 'up to 5 px',
    'to32': '6 to 32 px',
    'to256': '33 to 256 px',
    'large': 'larger',
}
# false alarms per image at which curves of several runs are compared, and the range of the axis
AXIS = np.geomspace(0.01, 10, 121)


def best_found(result: ClassInspection, size: str) -> np.ndarray:
    """Highest percent found at no more than each number of false alarms of :data:`AXIS`; NaN without such defects."""
    if size not in result.curves:
        return np.full(len(AXIS), np.nan)
    steps = result.curves[size]
    place = np.searchsorted([alarms for alarms, _ in steps], AXIS, side='right')
    return np.array([0.0, *(found for _, found in steps)])[place]


def draw_found(
    rows: Sequence[tuple[str, Sequence[Inspection]]],
    classes: Sequence[str],
    prefix: str = '',
    group: str = '',
    tested_on: str = 'test set',
) -> list[Image]:
    """``<prefix><class>_found.png``: defects of a class found over the false alarms per image, a panel for each size.

    Args:
        rows: a label and the test results of its runs, over which the curves are means.
        classes: names of the foreground classes.
        prefix: of the names of the files.
        group: what all rows belong to, for the captions.
        tested_on: the images of the tests, for the captions.

    Returns:
        An image a class; those without any result are left out.
    """
    images = []
    for name in classes:
        results = [
            (label, [one.classes[name] for one in runs if name in one.classes]) for label, runs in rows
        ]
        if any(one.curves for _, runs in results for one in runs):
            title = f'{group}: {name} defects found' if group else f'{name.capitalize()} defects found'
            caption = f'{title} on the {tested_on} over the false alarms per image, by size'
            figure = _draw_class(title, results)
            images.append(Image(f'{prefix}{name}_found.png', png(figure), caption, wide=True))
    return images


def _draw_class(title: str, rows: Sequence[tuple[str, Sequence[ClassInspection]]]) -> Figure:
    curves = {
        size: [np.mean([best_found(run, size) for run in runs], axis=0) if runs else None for _, runs in rows]
        for size in SIZES
    }
    sizes = [
        size
        for size, values in curves.items()
        if any(value is not None and not np.isnan(value).all() for value in values)
    ]
    figure = Figure(figsize=(max(5.0, 3.2 * len(sizes)), 4.2), layout='constrained')
    panels = np.atleast_1d(figure.subplots(1, max(1, len(sizes)), sharey=True))
    for panel, size in zip(panels, sizes):
        for index, values in enumerate(curves[size]):
            if values is not None:
                style = {**series_style(index), 'marker': ''}
                panel.plot(AXIS, values, label=rows[index][0], linewidth=1.8, **style)
        panel.set(title=SIZES[size], xscale='log', xlabel='False alarms per image')
        panel.grid(alpha=0.4)
    for index, (_, runs) in enumerate(rows):
        points = [(run.false_alarms, run.found) for run in runs if not np.isnan(run.found)]
        if points and sizes:
            x, y = np.mean(points, axis=0)
            style = {key: value for key, value in series_style(index).items() if key in ('color', 'marker')}
            panels[0].plot(max(x, AXIS[0]), y, markersize=8, markeredgecolor='white', linestyle='', **style)
    panels[0].set(ylabel='Defects found (%)', ylim=(0, 102))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=min(3, max(1, len(labels))), fontsize=9)
    figure.suptitle(f'{title}; markers: operating points chosen on the validation set')
    return figure
