"""The results of runs, read from disk without executing anything.

``read_project(path, trust=False)`` gives a :class:`RunRecord` for every run of

* a project of the batch job, ``work_dirs/<project>`` (also one begun before runs had a ``run.json``), or
* a plain work folder of mmsegmentation, ``<folder>/<time>/vis_data/{config.py, <time>.json}`` of trainings and
  ``<folder>/<time>/<time>.json`` of tests; the path is such a folder or one that holds several.

``read_run(folder, trust=False)`` reads one run. What a run is comes from its ``run.json``; without one from the
recorded config, whose literals are read but never executed, unless ``trust`` is True. What neither says is unknown
(``''``, ``()`` or None), and :attr:`RunRecord.unread` says why.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wtaseg.runs.describe import augmentation_from_names, describe_run
from wtaseg.runs.inspection import Inspection, read_inspection
from wtaseg.runs.layout import SPEC_FILE, RunLayout, project_root
from wtaseg.runs.outputs import (
    ClassScore,
    plain_work_folders,
    read_scores,
    recorded_configs,
    to_number,
    training_logs,
)
from wtaseg.runs.recorded import UnreadConfigError, read_config
from wtaseg.runs.select import read_rows, validations_of
from wtaseg.runs.spec import UNKNOWN, RunSpec, read_spec
from wtaseg.runs.state import read_state

DONE, FAILED, UNFINISHED, MISSING = 'done', 'failed', 'unfinished', 'missing'


@dataclass(frozen=True)
class RunRecord:
    """One run: what it is, and its results.

    Attributes:
        path: its folder.
        name: the folder below ``exp`` (or below the folder that was read), now.
        spec: what the run is, as recorded when it started.
        scores: results of the last test by class, in the order of the ids; empty before there are any.
        validations: metrics of the validations by step, ascending; percent, NaN where a class is absent.
        status: ``'done'`` (trained and tested), ``'failed'``, ``'unfinished'``, ``'missing'`` (no such folder).
        error: why the last job on this run failed or was refused. Scores beside an error are those of the
            settings in ``spec``, not of the settings that were refused.
        seconds: duration of training and test, all parts of an interrupted run together.
        iteration_seconds: median duration of a training iteration.
        memory_mib: largest amount of GPU memory during the training.
        checkpoint: the tested checkpoint, relative to ``path``.
        inspection: defects found and false alarms of the last test; None: not measured.
        unread: why the recorded config was not read; None where it was, or was not needed.
        trust: whether a recorded config may be executed.
    """

    path: Path
    name: str
    spec: RunSpec
    scores: dict[str, ClassScore] = field(default_factory=dict)
    validations: dict[int, dict[str, float]] = field(default_factory=dict)
    status: str = UNFINISHED
    error: str | None = None
    seconds: float | None = None
    iteration_seconds: float | None = None
    memory_mib: float | None = None
    checkpoint: str | None = None
    inspection: Inspection | None = None
    unread: str | None = None
    trust: bool = False

    @property
    def finished(self) -> bool:
        """Whether there are results of a test."""
        return bool(self.scores)

    @property
    def foreground(self) -> dict[str, ClassScore]:
        """The scores without those of the normal class."""
        return {name: score for name, score in self.scores.items() if name != self.spec.normal_class}

    @property
    def foreground_miou(self) -> float:
        """Mean IoU without the normal class, as in the published tables; a class without pixels is left out."""
        return _mean(score.iou for score in self.foreground.values())

    @property
    def foreground_macc(self) -> float:
        """Mean accuracy without the normal class; a class without pixels is left out."""
        return _mean(score.acc for score in self.foreground.values())

    @property
    def base(self) -> Path:
        """The folder that relative paths of data in the run's config count from."""
        return _base(self.path, self.spec.base)

    @cached_property
    def test_config(self) -> dict[str, Any]:
        """The recorded config of the last test, or else of the training; empty where there is none.

        Raises:
            UnreadConfigError: it is not made of literals alone, and the record was not read with ``trust``.
        """
        files = recorded_configs(self.path, 'test') or recorded_configs(self.path, 'train')
        return read_config(files[-1], self.trust) if files else {}


def read_project(project: str | Path, *, trust: bool = False) -> list[RunRecord]:
    """All runs of a project or of plain work folders, in the order of the names they were started with.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: a ``run.json`` or a ``state.json`` cannot be read.
    """
    project = Path(project)
    exp = project / 'exp'
    if exp.is_dir():
        parts = (SPEC_FILE, 'train', 'test')
        folders = sorted({path.parent for part in parts for path in exp.rglob(part)} - {exp})
        folders = [path for path in folders if not any(parent in folders for parent in path.parents)]
        runs = [_read(path, RunLayout(project, path.relative_to(exp).as_posix()), trust) for path in folders]
    else:
        folders = plain_work_folders(project)
        names = [path.relative_to(project).as_posix() if path != project else path.name for path in folders]
        runs = [_read(path, name, trust) for path, name in zip(folders, names)]
    if not runs:
        raise FileNotFoundError(
            f'{project}: no run found; expected {project}/exp/<dir>/<model>/train as bash/run_main.sh makes it, '
            f'or {project}/<time>/vis_data as mmsegmentation does'
        )
    # in an order that does not depend on folders that were renamed
    return sorted(runs, key=lambda run: (run.spec.name, run.name))


def read_run(folder: str | Path, *, trust: bool = False) -> RunRecord:
    """The run in ``<project>/exp/<name>``, or in a plain work folder; also one that does not exist yet.

    Raises:
        ValueError: its ``run.json`` or ``state.json`` cannot be read.
    """
    folder = Path(folder)
    return _read(folder, RunLayout.of(folder) or folder.name, trust)


def _read(path: Path, place: RunLayout | str, trust: bool) -> RunRecord:
    """One run; ``place`` is its place in a project, or the name of a plain work folder."""
    name = place.name if isinstance(place, RunLayout) else place
    spec, unread = _spec(path, name, trust)
    state = _state(place, spec) if isinstance(place, RunLayout) else None
    scores = read_scores(path, (state or {}).get('metrics'))
    if not spec.classes:
        # IoUMetric writes them in the order of their ids
        spec = replace(spec, classes=tuple(scores))
    rows = [row for log in training_logs(path) for row in read_rows(log)]
    validations = {
        step: {
            key: to_number(value) for key, value in row.items() if key not in ('step', 'time', 'data_time')
        }
        for step, row in validations_of(rows).items()
    }
    error = (state or {}).get('error')
    if error:
        status = FAILED
    elif scores and (state is None or state.get('metrics')):
        status = DONE
    else:
        status = UNFINISHED if state is not None or path.is_dir() else MISSING
    speed, memory = _speed(rows)
    state = state or {}
    return RunRecord(
        path=path,
        name=name,
        spec=spec,
        scores={key: scores[key] for key in (*spec.classes, *scores) if key in scores},
        validations=validations,
        status=status,
        error=error,
        seconds=state.get('seconds'),
        iteration_seconds=speed,
        memory_mib=memory,
        checkpoint=state.get('checkpoint'),
        inspection=read_inspection(path, state.get('metrics')) if scores else None,
        unread=unread,
        trust=trust,
    )


def _spec(path: Path, name: str, trust: bool) -> tuple[RunSpec, str | None]:
    """What the run is; and why its config was not read, if it was not."""
    if (path / SPEC_FILE).is_file():
        return read_spec(path / SPEC_FILE), None
    files = recorded_configs(path, 'train') or recorded_configs(path, 'test')
    config: Mapping = {}
    unread = f'{path}: no recorded config' if path.is_dir() and not files else None
    try:
        config = read_config(files[-1], trust) if files else {}
    except UnreadConfigError as error:
        unread = str(error)
    spec = describe_run(config, name, base=_base(path, None))
    if spec.augmentation is None and 'augmentation' not in config:
        by_name = augmentation_from_names([name])
        spec = replace(spec, augmentation=UNKNOWN if unread and by_name is None else by_name)
    return spec, unread


def _base(path: Path, recorded: str | None) -> Path:
    """What relative paths of data count from, given the run's folder and what its spec has about it."""
    place = RunLayout.of(path)
    if place is None:  # a plain work folder of mmsegmentation, or results that were set aside
        return Path.cwd() / (recorded or '')
    if recorded is None:  # older versions of the batch job always started runs there
        return project_root() or Path.cwd()
    return (place.project / recorded).resolve()


def _state(layout: RunLayout, spec: RunSpec) -> dict | None:
    """What the batch job recorded, also where the run's folder was renamed; None: nothing."""
    for name in (layout.name, spec.name):
        place = RunLayout(layout.project, name)
        if place.state.is_file():
            return read_state(place)
    return None


def _speed(rows: Iterable[Mapping]) -> tuple[float | None, float | None]:
    """Median seconds of an iteration and the largest GPU memory in MiB, of a training's log."""
    rows = [row for row in rows if 'loss' in row]
    times = [row['time'] for row in rows if isinstance(row.get('time'), (int, float))]
    memory = [row['memory'] for row in rows if isinstance(row.get('memory'), (int, float))]
    return round(statistics.median(times), 4) if times else None, max(memory) if memory else None


def _mean(values: Iterable[float]) -> float:
    values = [value for value in values if not math.isnan(value)]
    return sum(values) / len(values) if values else math.nan


def choose_runs(runs: Sequence[RunRecord], names: Sequence[str] | None) -> list[RunRecord]:
    """The runs of these names, in this order; all where none is named.

    Raises:
        ValueError: the project has no run of that name.
    """
    by_name = {run.name: run for run in runs}
    for name in names or ():
        if name not in by_name:
            raise ValueError(f'--runs: {name!r} is not in the project; it has {", ".join(by_name)}')
    return [by_name[name] for name in names] if names else list(runs)
