"""``wta-seg study``, also ``python tools/study.py``."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from wtaseg.cli import run_alone
from wtaseg.studies.spec import StudyOptions

# --time-limit counts from here, imports included
STARTED = time.monotonic()
DEFAULTS = StudyOptions()


def command(
    *studies: str,
    options: Annotated[StudyOptions, Parameter(name='*')] = DEFAULTS,
    base: Annotated[Path, Parameter(parse=False)] = Path(),
) -> int:
    """Train, test, tabulate and draw what a study compares.

    Example: ``wta-seg study losses --data data/wta_512 --project losses --seeds 3``

    Run again, it skips what is done and resumes what was interrupted. The reports are in work_dirs/PROJECT/report.

    Parameters
    ----------
    studies
        losses, gamma, loss_aug, words, relabel, ratio, imbalance, final, folds, pays, twins
    """
    from wtaseg.studies.command import StudyCommand, run_studies

    try:
        prepared = StudyCommand.prepare(replace(options, studies=studies, base=base))
    except (FileNotFoundError, ValueError) as error:
        raise CycloptsError(msg=str(error)) from None
    return run_studies(prepared, STARTED)


def main(argv: Sequence[str] | None = None, base: Path = Path()) -> int:
    """The program ``tools/study.py``.

    Args:
        argv: the arguments; default: those of this process.
        base: see :class:`~wtaseg.studies.spec.StudyOptions`.

    Returns:
        The exit status: 0, 1 where a run failed or is not done, 2 for input that cannot be used, 130 when interrupted.
    """
    return run_alone(partial(command, base=base), argv, 'study.py')
