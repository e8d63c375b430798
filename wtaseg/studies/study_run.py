"""One run of a study: its test results and validations, as ``results.json`` holds them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from mmseg.evaluation.metric_names import with_current_names
from wtaseg.report.summary import Summary
from wtaseg.runs.inspection import ClassInspection, Inspection, found_at, found_target
from wtaseg.runs.records import DONE, MISSING, ClassScore, RunRecord

# metrics of a validation that results.json keeps
KEPT = ('IoU.', 'Acc.', 'foreground_')


@dataclass(frozen=True)
class StudyRun:
    """One run of an experiment.

    Attributes:
        seed: of its training.
        status: whether it has results.
        scores: test results of the foreground classes, in the order of their ids.
        validations: metrics in percent by iteration; None: not measured.
        seconds: duration of the job, all its parts together; None: unknown.
        error: what made it fail.
        checkpoint: file that was tested.
        iteration_seconds: median of the training.
        memory_mib: peak memory of the GPU in the training.
        inspection: defects found and false alarms on the test set; None: not measured.
    """

    seed: int
    status: str = MISSING
    scores: dict[str, ClassScore] = field(default_factory=dict)
    validations: dict[int, dict[str, float | None]] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    checkpoint: str | None = None
    iteration_seconds: float | None = None
    memory_mib: float | None = None
    inspection: Inspection | None = None

    @property
    def found_target(self) -> float | None:
        """False alarms per image that were allowed at the operating point; None: there is none."""
        return found_target([self.inspection])

    @classmethod
    def of(cls, record: RunRecord, seed: int, seconds: float | None = None) -> 'StudyRun':
        """What a run has on disk; ``seconds`` is its duration where the record does not know it."""
        done = record.status == DONE
        inspection = record.inspection if done else None
        return cls(
            seed=seed,
            status=record.status,
            # scores beside an error are those of other settings than the ones that were asked for
            scores=dict(record.foreground) if done else {},
            validations={
                step: _kept(metrics, record.spec.foreground) for step, metrics in record.validations.items()
            },
            seconds=seconds if record.seconds is None else record.seconds,
            error=record.error,
            checkpoint=record.checkpoint if done else None,
            iteration_seconds=record.iteration_seconds,
            memory_mib=record.memory_mib,
            inspection=inspection and inspection.of_classes(record.foreground),
        )

    def metrics(self, classes: Sequence[str], target: float | None = None) -> list[float | None]:
        """IoU and accuracy of each class, their means over the classes that the test set has, and what was found.

        Args:
            classes: names of the foreground classes.
            target: also the percent found of each class at the operating point for it.

        Returns:
            NaN or None: not measured.
        """
        pairs = [self.scores.get(name, ClassScore(math.nan, math.nan)) for name in classes]
        means = [Summary.of(getattr(pair, kind) for pair in pairs).mean for kind in ('iou', 'acc')]
        found = [] if target is None else [found_at(self.inspection, name, target) for name in classes]
        return [*(value for pair in pairs for value in (pair.iou, pair.acc)), *means, *found]

    def to_json(self) -> dict:
        """As JSON's types; NaN is None."""
        scores = {name: [_finite(score.iou), _finite(score.acc)] for name, score in self.scores.items()}
        validations = {str(step): values for step, values in self.validations.items()}
        inspection = self.inspection and self.inspection.to_json()
        return asdict(self) | {'scores': scores, 'validations': validations, 'inspection': inspection}

    @classmethod
    def from_json(cls, content: dict) -> 'StudyRun':
        """The inverse of :meth:`to_json`."""
        scores = {
            name: ClassScore(*(math.nan if value is None else value for value in pair))
            for name, pair in content['scores'].items()
        }
        validations = {
            int(step): with_current_names(metrics) for step, metrics in content['validations'].items()
        }
        texts = ('seconds', 'error', 'checkpoint', 'iteration_seconds', 'memory_mib')
        return cls(
            seed=content['seed'],
            status=content['status'],
            scores=scores,
            validations=validations,
            inspection=_read_inspection(content),
            **{name: content.get(name) for name in texts},
        )


def _kept(metrics: dict[str, float], classes: Sequence[str]) -> dict[str, float | None]:
    """The metrics of the foreground classes and their means; of all classes where they are not known yet."""
    return {
        key: _finite(value)
        for key, value in with_current_names(metrics).items()
        if key.startswith(KEPT) and (not classes or '.' not in key or key.partition('.')[2] in classes)
    }


def _read_inspection(content: dict) -> Inspection | None:
    """Of a run in ``results.json``; earlier versions wrote what was found alone, without curves."""
    if content.get('inspection') is not None:
        return Inspection.from_json(content['inspection'])
    if content.get('found_target') is None:
        return None
    found = {name: math.nan if value is None else value for name, value in content.get('found', {}).items()}
    return Inspection(
        {name: ClassInspection({}, value) for name, value in found.items()}, content['found_target']
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
