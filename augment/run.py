"""Augment a dataset: ``python augment/run.py --data data/wta_512 --word peeling``.

Several GPUs: ``accelerate launch augment/run.py ...`` with the same arguments.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ''):  # run as a script: Python puts this folder on the path instead of its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

if TYPE_CHECKING:
    from augment.config import AugmentConfig

STOPPED, NOTHING_ACCEPTED, BAD_INPUT = 130, 1, 2
#: Errors in what the user gave; their message is the one line that is printed.
INPUT_ERRORS = (ValueError, OSError, MemoryError)
#: Environment variable that shows the traceback of such an error.
TRACEBACK = 'AUGMENT_TRACEBACK'


def edit_images(config: 'AugmentConfig') -> int:
    """Edit the images, print the report; returns 0, 1 when no edit was accepted, 130 when stopped by hand.

    Raises:
        ValueError, OSError, MemoryError: The input can't be used.
    """
    # Messages about loading are of no use here; errors raise.
    for library in ('DIFFUSERS', 'TRANSFORMERS'):
        os.environ.setdefault(f'{library}_VERBOSITY', 'error')
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    try:
        from augment.pipeline import run
        from augment.progress import Bars

        report = run(config, Bars())
    except KeyboardInterrupt:
        print('stopped; the same command continues where it was', file=sys.stderr)
        return STOPPED
    if os.environ.get('RANK', '0') == '0':
        print(report.text())
    return 0 if report.dry or report.accepted else NOTHING_ACCEPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the status of :func:`edit_images`, or 2 for bad input."""
    from augment.command_line import parse_config

    try:
        config = parse_config(sys.argv[1:] if argv is None else argv)
        return 0 if config is None else edit_images(config)
    except INPUT_ERRORS as error:
        if os.environ.get(TRACEBACK):
            raise
        print(f'error: {error}', file=sys.stderr)
        return BAD_INPUT


if __name__ == '__main__':
    sys.exit(main())
