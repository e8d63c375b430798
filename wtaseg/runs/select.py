"""Select the training step whose checkpoint is tested.

The score of a validation is the mean of aAcc, mIoU and mAcc; NaN and missing values count as zero, so that a
model that never predicts a class is not preferred for it. The highest score wins; of equal ones the latest step.
"""

import difflib
import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

#: JSON lines beside the log of a training: the operating point of each validation.
POINTS_FILE = 'operating_points.jsonl'

METRICS = ('aAcc', 'mIoU', 'mAcc')


def read_rows(path: str | Path) -> list[dict]:
    """All records of a JSON log of mmengine, one object a line.

    A truncated line, as a killed run leaves it, is skipped and reported on stderr.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such training log; expected train/<time>/vis_data/<time>.json of a run'
        )
    rows = []
    for number, line in enumerate(path.read_text(encoding='utf-8', errors='replace').splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            print(f'{path}:{number}: not a complete JSON object, skipped', file=sys.stderr)
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def validations_of(rows: Iterable[Mapping]) -> dict[int, Mapping]:
    """The validation records among those of a training, by step, ascending.

    A resumed training has several logs: with their rows in order of time, the later record of a step replaces the
    earlier one, as its checkpoint did.
    """
    validations = {}
    for row in rows:
        if 'step' in row and any(metric in row for metric in METRICS):
            validations[int(row['step'])] = row
    return dict(sorted(validations.items()))


def score(row: Mapping, by: str | None = None) -> float:
    """The metric ``by``; None: the mean of the three metrics (0 to 100).

    The same three values give the same mean in any order.
    """
    if by is not None:
        return _number(row.get(by))
    values = (row.get(metric) for metric in METRICS)
    # fsum rounds once: a plain sum could decide a tie by the order in which it adds
    return math.fsum(_number(value) for value in values) / len(METRICS)


def _number(value) -> float:
    """A metric as a finite number; logs spell the missing one NaN, null or "nan"."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) else 0.0


def find_best(
    paths: Iterable[str | Path], by: str | None = None, false_alarms: float | None = None
) -> tuple[int, float]:
    """Step and score of the best validation in the given logs.

    Args:
        paths: JSON logs of a training, in order of time.
        by: metric of which more is better, such as ``mOPFound``; None: the mean of :data:`METRICS`.
        false_alarms: in place of ``by``: the defects found at this many false alarms per image and class.

    Raises:
        ValueError: no log holds a validation, or no validation the metric ``by`` or curves for ``false_alarms``.
    """
    paths = list(paths)
    if false_alarms is not None:
        scores = found_by_step(paths, false_alarms)
        return max(scores.items(), key=lambda pair: (pair[1], pair[0]))
    validations = validations_of(row for path in paths for row in read_rows(path))
    if not validations:
        names = ', '.join(str(path) for path in paths) or 'no log'
        raise ValueError(
            f'{names}: no validation found (records with {", ".join(METRICS)}); '
            'the training must reach train_cfg.val_interval at least once'
        )
    if by is not None and not any(by in row for row in validations.values()):
        known = sorted({key for row in validations.values() for key in row} - {'step', 'time', 'data_time'})
        near = difflib.get_close_matches(by, known, 3, 0.4) or known
        raise ValueError(f'--by {by}: no validation has this metric; expected one like {", ".join(near[:8])}')
    return max(
        ((step, score(row, by)) for step, row in validations.items()), key=lambda pair: (pair[1], pair[0])
    )


def found_by_step(paths: Iterable[str | Path], false_alarms: float) -> dict[int, float]:
    """Percent of the defects found, mean of the classes, at a number of false alarms per image, by step.

    Args:
        paths: JSON logs of a training, in order of time; the curves are in a file beside each.
        false_alarms: allowed in each class.

    Raises:
        ValueError: no log has curves beside it, or ``false_alarms`` is negative.
    """
    from mmseg.evaluation.inspection import read_operating_point

    files = [Path(path).with_name(POINTS_FILE) for path in paths]
    rows = [row for file in files if file.is_file() for row in read_rows(file)]
    if not rows:
        raise ValueError(
            f'--false-alarms: {", ".join(map(str, files)) or "no log"} does not exist; '
            'expected the curves that a training with InspectionMetric in val_evaluator writes'
        )
    return {int(row['step']): _number(read_operating_point(row).at(false_alarms).mean_found) for row in rows}
