"""The operating point of all folds of a cross-validation together."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.state import read_state

if TYPE_CHECKING:
    from mmseg.evaluation.inspection.pooling import SweepCounts

#: False alarms per image and class, where the runs were validated without an operating point.
DEFAULT_TARGET = 0.1


@dataclass(frozen=True)
class PooledClass:
    """One class at its pooled operating point.

    Attributes:
        threshold: probability from which pixels are marked; None: never, every threshold gives more false alarms.
        found: percent of the defects found; None: there are none.
        interval: its 95 % bootstrap interval over the images, with the threshold chosen again each time.
        false_alarms: per image.
        defects: their number.
    """

    threshold: float | None
    found: float | None
    interval: tuple[float, float] | None
    false_alarms: float
    defects: int

    def sentence(self, name: str) -> str:
        """What it says about the class."""
        if self.found is None:
            return f'{name}: no defect in the images'
        if self.threshold is None:
            return f'{name}: never marked, every threshold gives more false alarms'
        interval = '' if self.interval is None else ' ({:.1f} to {:.1f})'.format(*self.interval)
        return (
            f'{name}: {self.found:.1f} % of {self.defects} defects found{interval} at p ≥ {self.threshold:.4g}, '
            f'{self.false_alarms:.3g} false alarms per image'
        )


@dataclass(frozen=True)
class PooledPoint:
    """Thresholds chosen on the held-out images of all folds together.

    Attributes:
        target: most false alarms per image and class that were allowed.
        folds, images: how many were pooled.
        classes: by name.
    """

    target: float
    folds: int
    images: int
    classes: dict[str, PooledClass]

    def sentences(self) -> list[str]:
        """What it says, a sentence for all classes."""
        listed = '; '.join(point.sentence(name) for name, point in self.classes.items())
        return [
            f'Pooled operating point, {self.images} held-out images of {self.folds} folds, at most {self.target:g} '
            f'false alarms per image and class, with 95 % intervals: {listed}.'
        ]

    def to_json(self) -> dict:
        """As JSON's types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict) -> 'PooledPoint':
        """The inverse of :meth:`to_json`."""
        classes = {}
        for name, values in content['classes'].items():
            interval = None if values['interval'] is None else tuple(values['interval'])
            classes[name] = PooledClass(**{**values, 'interval': interval})
        return cls(content['target'], content['folds'], content['images'], classes)


def pool_runs(project: ProjectLayout, runs: Iterable[str], target: float) -> PooledPoint:
    """The pooled operating point of runs that are done, each tested on other images.

    Args:
        project: theirs.
        runs: their names.
        target: most false alarms per image and class.

    Raises:
        FileNotFoundError: a run has no counts.
        ValueError: counts of two runs do not go together.
    """
    from mmseg.evaluation.inspection.pooling import SweepCounts

    parts = load_counts(project, runs)
    counts = SweepCounts.pool(parts)
    classes = {}
    for (name, point), defects in zip(
        counts.choose(target).classes.items(), counts.defects.sum(axis=1).tolist()
    ):
        interval = (point.found_interval.low, point.found_interval.high)
        classes[name] = PooledClass(
            point.threshold,
            _finite(point.found),
            None if any(map(math.isnan, interval)) else interval,
            point.false_alarms,
            defects,
        )
    return PooledPoint(target, len(parts), counts.images, classes)


def load_counts(project: ProjectLayout, runs: Iterable[str]) -> list['SweepCounts']:
    """The counts of the tests of runs that are done.

    Raises:
        FileNotFoundError: a run has no counts.
        ValueError: a file has another form.
    """
    from mmseg.evaluation.inspection.pooling import COUNTS_FILE, SweepCounts

    layouts = [project.run(name) for name in runs]
    metrics = [layout.exp / read_state(layout)['metrics'] for layout in layouts]
    return [SweepCounts.load(path.parent / COUNTS_FILE) for path in metrics]


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
