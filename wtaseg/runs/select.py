"""Print the training step whose checkpoint is to be tested.

The score of a validation is the mean of aAcc, mIoU and mAcc; NaN and missing values count as zero, so that a
model which never finds a class is not preferred for it. The highest score wins, the later step a tie.

    python bash/find_best.py --json_log_path work_dirs/P/exp/D/M/train/TIME/vis_data/TIME.json
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path

METRICS = ('aAcc', 'mIoU', 'mAcc')


def read_rows(path: str | Path) -> list[dict]:
    """All records of one mmengine log (a JSON object a line).

    A line that is cut off, as a killed run leaves it, is reported on stderr and passed over.

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
        except json.JSONDecodeError:
            print(f'{path}:{number}: not a whole JSON object, passed over', file=sys.stderr)
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def read_validations(paths: Iterable[str | Path]) -> dict[int, dict]:
    """Validation records by step, ascending.

    A resumed training has several logs: given in order of time, the later record of a step replaces the
    earlier one, as its checkpoint did.
    """
    found = {}
    for path in paths:
        for row in read_rows(path):
            if 'step' in row and any(metric in row for metric in METRICS):
                found[int(row['step'])] = row
    return dict(sorted(found.items()))


def score(row: dict) -> float:
    """Mean of the three metrics (0 to 100); the same three values give the same mean in any order."""
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


def find_best(paths: Iterable[str | Path]) -> tuple[int, float]:
    """Step and score of the best validation in the given logs.

    Raises:
        ValueError: no log holds a validation.
    """
    paths = list(paths)
    validations = read_validations(paths)
    if not validations:
        names = ', '.join(str(path) for path in paths) or 'no log'
        raise ValueError(
            f'{names}: no validation found (records with {", ".join(METRICS)}); '
            'the training must reach train_cfg.val_interval at least once'
        )
    return max(((step, score(row)) for step, row in validations.items()), key=lambda pair: (pair[1], pair[0]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--json_log_path',
        required=True,
        nargs='+',
        metavar='F',
        help='log of the run; several in order of time where it was resumed',
    )
    try:
        step, _ = find_best(parser.parse_args().json_log_path)
    except (OSError, ValueError) as error:
        print(f'find_best: {error}', file=sys.stderr)
        return 1
    print(step)
    return 0


if __name__ == '__main__':
    sys.exit(main())
