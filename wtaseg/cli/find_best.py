"""``wta-seg find-best``, also ``python bash/find_best.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from wtaseg.cli import run_alone

Logs = Annotated[
    tuple[Path, ...], Parameter(name=('--json_log_path', '--json-log-path'), consume_multiple=True)
]


def command(*, json_log_path: Logs, by: str | None = None, false_alarms: float | None = None) -> int:
    """Print the training step whose checkpoint is tested: that of the best validation.

    The score of a validation is the mean of aAcc, mIoU and mAcc, where NaN and missing values count as zero; of equal
    scores the latest step wins. ``--by mOPFound`` takes the defects found at the operating point instead, and
    ``--false-alarms 0.5`` those found at half a false alarm per image.

    Example: ``wta-seg find-best --json_log_path work_dirs/P/exp/D/M/train/TIME/vis_data/TIME.json``

    Parameters
    ----------
    json_log_path
        JSON log of a training; several in order of time where it was resumed
    by
        metric of the validations, of which more is better, in place of the mean
    false_alarms
        take the validation that finds most defects at this many false alarms per image and class
    """
    if by is not None and false_alarms is not None:
        raise CycloptsError(msg='--by and --false-alarms exclude each other')
    from wtaseg.runs.select import find_best

    print(find_best(json_log_path, by, false_alarms)[0])
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``bash/find_best.py``; returns the exit status."""
    return run_alone(command, argv, 'find_best')
