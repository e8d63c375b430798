"""Log files on a full disk: a line instead of a traceback for every message."""

import logging
import sys
from functools import partial


def report_unwritten_logs(logger: logging.Logger) -> None:
    """Have the file handlers of a logger say once that their file can not be written, and go on."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_report, handler)


def _report(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    handler.handleError = lambda record: None
    print(
        f'{handler.baseFilename}: the log can not be written ({sys.exc_info()[1]}); free some space, or name another '
        'work folder',
        file=sys.stderr,
    )
