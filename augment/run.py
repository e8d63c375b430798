"""Augment a dataset: ``python augment/run.py --data data/wta_512 --word peeling``.

Several GPUs: ``accelerate launch augment/run.py ...`` with the same arguments.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ''):  # run as a script: Python puts this folder on the path instead of its parent
    sys.path[0] = str(Path(__file__).resolve().parents[1])

STOPPED, NOTHING_ACCEPTED, BAD_INPUT = 130, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, 1 when no edit was accepted, 2 for bad input, 130 when stopped by hand."""
    from augment.command_line import parse_config

    # Messages about loading are of no use here; errors raise.
    for library in ('DIFFUSERS', 'TRANSFORMERS'):
        os.environ.setdefault(f'{library}_VERBOSITY', 'error')
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    try:
        config = parse_config(sys.argv[1:] if argv is None else argv)
        if config is None:
            return 0
        from augment.pipeline import run
        from augment.progress import Bars

        report = run(config, Bars())
    except KeyboardInterrupt:
        print('stopped; the same command continues where it was', file=sys.stderr)
        return STOPPED
    except (ValueError, OSError, MemoryError) as error:
        if os.environ.get('AUGMENT_TRACEBACK'):
            raise
        print(f'error: {error}', file=sys.stderr)
        return BAD_INPUT
    if os.environ.get('RANK', '0') == '0':
        print(report.text())
    return 0 if report.dry or report.accepted else NOTHING_ACCEPTED


if __name__ == '__main__':
    sys.exit(main())
