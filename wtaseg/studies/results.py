"""The results of a project's studies, from which every report can be made again.

Inside the program they are the dataclasses of this module; ``results.json`` is read and written here alone::

    format      1
    studies     by name: title, question, columns, marks, rows [{group, label, variant, runs}], settings, provenance
    variants    by name of the experiment: base config, what all experiments change in it, what this one changes
    pooled      by name of a study of folds: the operating point of all folds together
    paired      by name of a study whose tests counted each image: differences of its rows with their intervals
    runs        by name: seed, status, scores {class: [IoU, Acc]}, validations, seconds of all its parts, error,
                inspection {target, classes {class: {found, false_alarms, curves {size: [[false alarms, found], ...]}}}}
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wtaseg.io import read_json, write
from wtaseg.report.summary import Marking, Summary
from wtaseg.runs.inspection import Inspection
from wtaseg.runs.records import DONE
from wtaseg.studies.paired import PairedDifferences
from wtaseg.studies.pooled import PooledPoint
from wtaseg.studies.provenance import Provenance
from wtaseg.studies.study_run import StudyRun

FORMAT = 1


@dataclass(frozen=True)
class ExperimentRecord:
    """What an experiment was trained with: a base config, and changes to it, a line each.

    Attributes:
        base: name of the config.
        shared: what all experiments of the project change in it.
        changes: what this experiment changes beyond that.
    """

    base: str
    shared: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowRecord:
    """A line of the table, with the names of its experiment and of its runs."""

    group: str
    label: str
    experiment: str
    runs: tuple[str, ...]

    @property
    def title(self) -> str:
        """Group and label."""
        return ' · '.join(filter(None, (self.group, self.label)))


@dataclass(frozen=True)
class StudySettings:
    """How the runs of a study were started."""

    project: str = 'PROJECT'
    smoke: bool = False
    iters: int | None = None
    cfg_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyRecord:
    """A study as it was run."""

    title: str
    question: str
    columns: tuple[str, str]
    marking: Marking
    rows: tuple[RowRecord, ...]
    settings: StudySettings
    provenance: Provenance

    @property
    def run_names(self) -> list[str]:
        """Every run of the study once."""
        return list(dict.fromkeys(name for row in self.rows for name in row.runs))

    @property
    def seeds(self) -> int:
        """Runs of a row."""
        return max((len(row.runs) for row in self.rows), default=0)

    def to_json(self) -> dict:
        """As JSON's types."""
        content = asdict(self)
        content['marks'] = content.pop('marking')
        for row in content['rows']:
            row['variant'] = row.pop('experiment')
        return content

    @classmethod
    def from_json(cls, content: dict) -> 'StudyRecord':
        """The inverse of :meth:`to_json`."""
        rows = [
            RowRecord(row['group'], row['label'], row['variant'], tuple(row['runs']))
            for row in content['rows']
        ]
        settings = dict(content['settings'])
        settings['cfg_options'] = tuple(settings.get('cfg_options') or ())
        return cls(
            title=content['title'],
            question=content['question'],
            columns=tuple(content['columns']),
            marking=Marking(content['marks']),
            rows=tuple(rows),
            settings=StudySettings(**settings),
            provenance=Provenance.from_json(content['provenance']),
        )


@dataclass
class StudyResults:
    """All studies of a project, the experiments they compare and the runs of these."""

    studies: dict[str, StudyRecord] = field(default_factory=dict)
    experiments: dict[str, ExperimentRecord] = field(default_factory=dict)
    runs: dict[str, StudyRun] = field(default_factory=dict)
    pooled: dict[str, PooledPoint] = field(default_factory=dict)
    paired: dict[str, PairedDifferences] = field(default_factory=dict)

    def done_runs(self, row: RowRecord) -> list[StudyRun]:
        """The runs of a row that have test results."""
        runs = [self.runs.get(name) for name in row.runs]
        return [run for run in runs if run and run.status == DONE]

    def inspections(self, row: RowRecord) -> list[Inspection]:
        """Defects found and false alarms of the runs of a row that have them."""
        return [run.inspection for run in self.done_runs(row) if run.inspection is not None]

    def classes(self, study: StudyRecord) -> tuple[str, ...]:
        """Names of the foreground classes that any run of the study was tested on."""
        runs = [run for row in study.rows for run in self.done_runs(row)]
        return tuple(dict.fromkeys(name for run in runs for name in run.scores))

    def found_target(self, study: StudyRecord) -> float | None:
        """False alarms per image allowed at the operating points; None: no run of the study has one."""
        targets = (run.found_target for row in study.rows for run in self.done_runs(row))
        return next((target for target in targets if target is not None), None)

    def curve(self, row: RowRecord, key: str) -> dict[int, Summary]:
        """A metric of the validations, ``'IoU.broken'``, over the seeds that have it, by iteration."""
        values: dict[int, list[float]] = {}
        for run in (self.runs[name] for name in row.runs if name in self.runs):
            for step, metrics in run.validations.items():
                if metrics.get(key) is not None:
                    values.setdefault(step, []).append(metrics[key])
        return {step: Summary.of(values[step]) for step in sorted(values)}

    def unfinished(self, names: Iterable[str]) -> list[str]:
        """Those of these runs that have no results."""
        return [name for name in names if self.runs[name].status != DONE]

    def to_json(self) -> dict:
        """As JSON's types."""
        return {
            'format': FORMAT,
            'studies': {name: study.to_json() for name, study in self.studies.items()},
            'variants': {name: asdict(record) for name, record in self.experiments.items()},
            'runs': {name: run.to_json() for name, run in self.runs.items()},
            **{
                key: {name: one.to_json() for name, one in values.items()}
                for key, values in (('pooled', self.pooled), ('paired', self.paired))
                if values
            },
        }

    @classmethod
    def from_json(cls, content: dict) -> 'StudyResults':
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: another format, or an unknown status or marking.
            KeyError, TypeError: a field is missing, or of a wrong type.
        """
        if (number := content.get('format')) != FORMAT:
            raise ValueError(f'format {number!r}, expected {FORMAT}')
        experiments = {
            name: ExperimentRecord(record['base'], tuple(record['shared']), tuple(record['changes']))
            for name, record in content['variants'].items()
        }
        return cls(
            studies={name: StudyRecord.from_json(study) for name, study in content['studies'].items()},
            experiments=experiments,
            runs={name: StudyRun.from_json(run) for name, run in content['runs'].items()},
            pooled={name: PooledPoint.from_json(point) for name, point in content.get('pooled', {}).items()},
            paired={
                name: PairedDifferences.from_json(one) for name, one in content.get('paired', {}).items()
            },
        )


def load(path: Path) -> StudyResults:
    """Read a ``results.json``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no JSON, of another format, or lacks a field.
    """
    content = read_json(path)
    try:
        return StudyResults.from_json(content)
    except KeyError as error:
        raise ValueError(
            f'{path}: the field {error} is missing; expected the results.json of a study'
        ) from None
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: {error}; expected the results.json of a study') from None


def save(results: StudyResults, path: Path) -> None:
    """Write a ``results.json``, atomically."""
    write(path, json.dumps(results.to_json(), indent=1, allow_nan=False))
