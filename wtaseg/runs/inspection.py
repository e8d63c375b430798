"""Defects found and false alarms of a test, from the ``inspection.json`` beside its metrics."""

import json
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INSPECTION_FILE = 'inspection.json'


@dataclass(frozen=True)
class ClassInspection:
    """One class on the test set; percent of its defects found, and false alarms per image.

    Attributes:
        curves: percent found at each threshold, by size; ``'all'`` is over all sizes.
        false_alarms: at each threshold.
        found: at the operating point of the validation set; NaN: there is none, or there are no defects.
        false_alarms_at_point: there.
    """

    curves: dict[str, tuple[float, ...]]
    false_alarms: tuple[float, ...]
    found: float = math.nan
    false_alarms_at_point: float = math.nan


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
    def from_json(cls, content: dict) -> 'Inspection':
        """From the content of an ``inspection.json``.

        Raises:
            KeyError, TypeError, AttributeError: it has another form.
        """
        point = content['operating_point']
        classes = {}
        for name, curves in content['classes'].items():
            at = content['at_operating_point'].get(name, {})
            classes[name] = ClassInspection(
                {size: tuple(values) for size, values in curves['found'].items()},
                tuple(curves['false_alarms']),
                at.get('found', math.nan),
                at.get('false_alarms', math.nan),
            )
        return cls(classes, None if point is None else point['target'])


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
            return Inspection.from_json(json.loads(file.read_text(encoding='utf-8')))
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
