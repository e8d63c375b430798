"""What the runs of a study gave, collected in one JSON file from which every report can be made again.

``results.json``::

    format      1
    studies     by name: title, question, columns, marks, rows [{group, label, variant, runs}], provenance
    variants    by name: base config, what all runs change in it, what this one changes beyond
    runs        by name: seed, scores {class: [IoU, Acc]}, means, validations, seconds of all its parts, error
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wtaseg.io import read_json, write
from wtaseg.runs.records import read_run
from wtaseg.runs.select import read_rows

from .definitions import Study

FORMAT = 1
# values over 1 % of a class are of interest in the curves; all else of a validation is left out
KEPT = ('IoU.', 'Acc.', 'defect_')


def run_name(variant: str, seed: int) -> str:
    return f'{variant}-seed{seed}'


def collect_run(project: Path, name: str, seed: int, old: dict | None = None) -> dict:
    """One run as it stands on disk; ``old`` knows how long it took."""
    path = project / 'exp' / name
    run = read_run(path)
    found = {'seed': seed, 'scores': {}, 'validations': {}, 'seconds': (old or {}).get('seconds')}
    found['seconds'] = found['seconds'] if run.seconds is None else run.seconds
    state = project / 'job' / name / 'state.json'
    job = json.loads(state.read_text(encoding='utf-8')) if state.is_file() else {}
    found['error'] = job.get('error')
    found['status'] = 'missing' if not job else 'failed' if job.get('error') else 'unfinished'
    # an error beside metrics: they are there, but of other settings than the last that were asked for
    if run.finished and job.get('metrics') and not job.get('error'):
        found['status'] = 'done'
        found['scores'] = {key: [_finite(s.iou), _finite(s.acc)] for key, s in run.defects.items()}
        found['checkpoint'] = job.get('checkpoint')
    classes = set(run.defects)
    for step, row in run.validations.items():
        found['validations'][str(step)] = {
            key: _finite(value)
            for key, value in row.items()
            if key.startswith(KEPT) and (not classes or '.' not in key or key.partition('.')[2] in classes)
        }
    return found | _speed(path)


def _speed(path: Path) -> dict:
    """Median seconds of an iteration and the GPU's memory at most, in MiB, from the training's logs."""
    logs = [p for p in path.glob('train/*/vis_data/*.json') if p.stem == p.parents[1].name]
    rows = [row for log in logs for row in read_rows(log) if 'loss' in row]
    times = [row['time'] for row in rows if isinstance(row.get('time'), (int, float))]
    memory = [row['memory'] for row in rows if isinstance(row.get('memory'), (int, float))]
    return {
        'iteration_seconds': round(statistics.median(times), 4) if times else None,
        'memory_mib': max(memory) if memory else None,
    }


def _finite(value) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def describe_study(study: Study, seeds: Sequence[int], provenance: dict, settings: dict) -> dict:
    """A study as it stands in the JSON file."""
    return {
        'title': study.title,
        'question': study.question,
        'columns': list(study.columns),
        'marks': study.marks,
        'rows': [
            {
                'group': row.group,
                'label': row.label,
                'variant': row.variant.name,
                'runs': [run_name(row.variant.name, seed) for seed in seeds],
            }
            for row in study.rows
        ],
        'settings': settings,
        'provenance': provenance,
    }


def load(path: Path) -> dict:
    """The content of a ``results.json``.

    Raises:
        FileNotFoundError, ValueError: there is none, or of another format.
    """
    found = read_json(path)
    if found.get('format') != FORMAT:
        raise ValueError(f'{path}: format {found.get("format")!r}, expected {FORMAT}')
    return found


def save(results: dict, path: Path) -> None:
    write(path, json.dumps(results, indent=1, allow_nan=False))


@dataclass(frozen=True)
class Figure:
    """Mean and sample standard deviation over the seeds; NaN: not measured, or one seed only."""

    mean: float
    deviation: float
    values: tuple[float, ...]

    @property
    def count(self) -> int:
        return len(self.values)


def figure(values: Sequence[float | None]) -> Figure:
    """Mean and sample standard deviation of what was measured."""
    values = tuple(value for value in values if value is not None and not math.isnan(value))
    mean = statistics.fmean(values) if values else math.nan
    return Figure(mean, statistics.stdev(values) if len(values) > 1 else math.nan, values)


def run_metrics(run: dict, classes: Sequence[str]) -> list[float | None]:
    """IoU and accuracy of each class, then their means over the classes that the test set has."""
    pairs = [run['scores'].get(name, [None, None]) for name in classes]
    means = [_mean([pair[i] for pair in pairs]) for i in (0, 1)]
    return [*(value for pair in pairs for value in pair), *means]


def _mean(values: Sequence[float | None]) -> float | None:
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def done_runs(results: dict, row: dict) -> list[dict]:
    """The runs of a row that have test results."""
    found = [results['runs'].get(name) for name in row['runs']]
    return [run for run in found if run and run['status'] == 'done']


def defect_classes(results: dict, study: dict) -> list[str]:
    """Names of the defect classes that any run of the study was tested on."""
    runs = [run for row in study['rows'] for run in done_runs(results, row)]
    return list(dict.fromkeys(name for run in runs for name in run['scores']))


def mean_validations(results: dict, row: dict, key: str) -> dict[int, Figure]:
    """A validated metric over the iterations, over the seeds that have it."""
    values: dict[int, list] = {}
    for name in row['runs']:
        for step, record in results['runs'].get(name, {}).get('validations', {}).items():
            if record.get(key) is not None:
                values.setdefault(int(step), []).append(record[key])
    return {step: figure(values[step]) for step in sorted(values)}
