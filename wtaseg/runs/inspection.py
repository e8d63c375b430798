"""Defects found and false alarms of a test, from the ``inspection.json`` beside its metrics."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

INSPECTION_FILE = 'inspection.json'


#: False alarms per image up to which curves are kept.
MOST_FALSE_ALARMS = 10.0

Steps = tuple[tuple[float, float], ...]


def best_steps(found: Sequence[float], false_alarms: Sequence[float]) -> Steps:
    """The highest percent found at no more than each number of false alarms, as steps.

    Args:
        found, false_alarms: percent and false alarms per image at each threshold.

    Returns:
        Pairs of false alarms per image and the percent found from there on; both ascend.
    """
    steps, highest = [], -math.inf
    for alarms, value in sorted(zip(false_alarms, found), key=lambda pair: (pair[0], -pair[1])):
        if value > highest and alarms <= MOST_FALSE_ALARMS:
            steps.append((alarms, value))
            highest = value
    return tuple(steps)


@dataclass(frozen=True)
class ClassInspection:
    """One class on the test set; percent of its defects found, and false alarms per image.

    Attributes:
        curves: by size, see :func:`best_steps`; ``'all'`` is over all sizes.
        found: at the operating point of the validation set; NaN: there is none, or there are no defects.
        false_alarms: there.
    """

    curves: dict[str, Steps]
    found: float = math.nan
    false_alarms: float = math.nan

    def to_json(self) -> dict:
        """As JSON's types; NaN is None."""
        return dict(
            found=_finite(self.found), false_alarms=_finite(self.false_alarms), curves=dict(self.curves)
        )

    @classmethod
    def from_json(cls, content: dict) -> 'ClassInspection':
        """The inverse of :meth:`to_json`."""
        curves = {
            size: tuple((alarms, found) for alarms, found in steps)
            for size, steps in content['curves'].items()
        }
        numbers = (math.nan if content[key] is None else content[key] for key in ('found', 'false_alarms'))
        return cls(curves, *numbers)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Inspection:
    """A test set.

    Attributes:
        classes: by name.
        target: false alarms per image that were allowed at the operating point; None: there is none.
    """

    classes: dict[str, ClassInspection]
    target: float | None = None

    @classmethod
    def from_test(cls, content: dict) -> 'Inspection':
        """From the content of an ``inspection.json``.

        Raises:
            KeyError, TypeError, AttributeError: it has another form.
        """
        point = content['operating_point']
        classes = {}
        for name, curves in content['classes'].items():
            at = content['at_operating_point'].get(name, {})
            classes[name] = ClassInspection(
                {size: best_steps(found, curves['false_alarms']) for size, found in curves['found'].items()},
                at.get('found', math.nan),
                at.get('false_alarms', math.nan),
            )
        return cls(classes, None if point is None else point['target'])

    def of_classes(self, names: Iterable[str]) -> 'Inspection':
        """Only these classes."""
        return Inspection({name: self.classes[name] for name in names if name in self.classes}, self.target)

    def to_json(self) -> dict:
        """As JSON's types."""
        return dict(target=self.target, classes={name: one.to_json() for name, one in self.classes.items()})

    @classmethod
    def from_json(cls, content: dict) -> 'Inspection':
        """The inverse of :meth:`to_json`."""
        classes = {name: ClassInspection.from_json(one) for name, one in content['classes'].items()}
        return cls(classes, content['target'])


def read_inspection(path: Path, metrics: str | None = None) -> Inspection | None:
    """What the last test of a run measured; None where it measured none.

    A file that can not be read is skipped and reported on stderr.

    Args:
        path: the run's folder.
        metrics: the JSON file of the test, relative to it, where that is known.
    """
    if metrics:
        files = [(path / metrics).parent / INSPECTION_FILE]
    else:
        found = (file for pattern in ('test/*/', '*/') for file in path.glob(pattern + INSPECTION_FILE))
        files = sorted(found, key=lambda file: file.parent.name, reverse=True)
    for file in files:
        if not file.is_file():
            continue
        try:
            return Inspection.from_test(json.loads(file.read_text(encoding='utf-8')))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            print(f'{file}: not read ({error!r}); test the run again', file=sys.stderr)
    return None


def found_target(inspections: Iterable[Inspection | None]) -> float | None:
    """The false alarms per image allowed at the operating points, of the first that has one; None: none has."""
    targets = (one.target for one in inspections if one is not None and one.target is not None)
    return next(targets, None)


def found_at(inspection: Inspection | None, name: str, target: float) -> float:
    """Percent of a class's defects found at the operating point for ``target``; NaN: it was not measured."""
    if inspection is None or inspection.target != target or name not in inspection.classes:
        return math.nan
    return inspection.classes[name].found
