"""``wta-seg augment``: the command line of the package ``augment``, also ``python augment/run.py``.

Its exit status is 0, 1 where no edit was accepted, 2 for input that can't be used, 130 when interrupted.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cyclopts import CycloptsError

from augment.command_line import apply_config_file, build_app
from augment.run import INPUT_ERRORS, edit_images
from augment.run import TRACEBACK as AUGMENT_TRACEBACK
from wtaseg.cli import TRACEBACK


@contextmanager
def usage_errors() -> Iterator[None]:
    """Raise errors in the input as errors of the command line, whose exit status is 2 too.

    Raises:
        CycloptsError: the input can't be used.
    """
    try:
        yield
    except INPUT_ERRORS as error:
        if os.environ.get(TRACEBACK) or os.environ.get(AUGMENT_TRACEBACK):
            raise
        raise CycloptsError(msg=str(error)) from error


command = build_app('augment', 'wta-seg augment', edit_images)
command.default_command = usage_errors()(command.default_command)
command.config = usage_errors()(apply_config_file)
