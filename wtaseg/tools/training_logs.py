"""Curves of any logged value over the iterations."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from wtaseg.palette import series_style
from wtaseg.runs.outputs import training_logs


def read_curves(path: Path) -> dict[str, dict[int, float]]:
    """Values by key and iteration of a JSON log of mmengine, or of the last log in a work folder.

    Raises:
        FileNotFoundError: no log is there.
        ValueError: the file has no line that is a JSON object with numbers.
    """
    if path.is_dir():
        logs = training_logs(path)
        if not logs:
            raise FileNotFoundError(
                f'{path}: no */vis_data/*.json below it, expected the work folder of a training'
            )
        path = logs[-1]
    curves: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        step = row.get('step', row.get('iter')) if isinstance(row, dict) else None
        for key, value in row.items() if step is not None else ():
            if isinstance(value, (int, float)) and key not in ('step', 'iter', 'epoch'):
                curves.setdefault(key, {})[int(step)] = float(value)
    if not curves:
        raise ValueError(
            f'{path}: has no logged value, expected the JSON log of a training: TIMESTAMP/vis_data/TIMESTAMP.json'
        )
    return curves


def draw_logs(
    logs: Sequence[Path], keys: Sequence[str], legend: Sequence[str] = (), title: str = ''
) -> Figure:
    """Draw keys of logs into one diagram.

    Args:
        logs: JSON logs or work folders.
        keys: logged values, ``mIoU`` or ``loss``.
        legend: one name per curve, those of the first log first.
        title: of the diagram.

    Raises:
        FileNotFoundError, ValueError: see :func:`read_curves`; or a log does not have a key; or the legend does not
            fit.
    """
    if legend and len(legend) != len(logs) * len(keys):
        raise ValueError(
            f'--legend has {len(legend)} names, expected one per log and key: {len(logs) * len(keys)}'
        )
    figure = Figure(figsize=(7.5, 4.8), layout='constrained')
    axes = figure.subplots()
    curves = [(path, key) for path in logs for key in keys]
    values = {path: read_curves(path) for path in logs}
    for index, (path, key) in enumerate(curves):
        points = values[path].get(key)
        if points is None:
            raise ValueError(f'{path}: has no {key!r}, expected one of {", ".join(sorted(values[path]))}')
        name = legend[index] if legend else f'{path.stem} {key}' if len(logs) > 1 else key
        style = series_style(index)
        style['marker'] = style.get('marker') if len(points) <= 50 else None
        axes.plot(list(points), list(points.values()), label=name, **style)
    axes.set(title=title, xlabel='Iteration', ylabel=keys[0] if len(keys) == 1 else '')
    axes.grid(alpha=0.4)
    axes.legend()
    return figure
