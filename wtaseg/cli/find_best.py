"""``wta-seg find-best``: the training step whose checkpoint is tested."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter


def command(
    *,
    json_log_path: Annotated[
        tuple[Path, ...], Parameter(name=['--json_log_path', '--json-log-path'], consume_multiple=True)
    ],
) -> int:
    """Print the training step whose checkpoint is tested: that of the best validation.

    The score of a validation is the mean of aAcc, mIoU and mAcc, where NaN and missing values count as zero; of equal
    scores the latest step wins.

    Example: wta-seg find-best --json_log_path work_dirs/P/exp/D/M/train/TIME/vis_data/TIME.json

    Parameters
    ----------
    json_log_path
        JSON log of the training; several in order of time where it was resumed.
    """
    from wtaseg.runs.select import find_best

    try:
        step, _ = find_best(json_log_path)
    except (OSError, ValueError) as error:
        print(f'find_best: {error}', file=sys.stderr)
        return 1
    print(step)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``bash/find_best.py``; returns the exit status."""
    try:
        app = App(name='find_best.py', default_command=command)
        return app(sys.argv[1:] if argv is None else list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f'find_best: {error}', file=sys.stderr)
        return 2
