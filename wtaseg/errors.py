"""Errors of users in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mmseg.engine import NonFiniteLossError
from mmseg.file_errors import named
from mmseg.utils.config_errors import CAUSES
from wtaseg import shared_memory

# what wrong values in a config raise in the parts that are built from it
_OF_CONFIGS = (*CAUSES, RuntimeError)
#: Precedes the traceback of a data loader's worker in the message of its error.
_OF_WORKER = 'Original Traceback'


def always() -> bool:
    """For :func:`one_line_errors`: everything is setup."""
    return True


@contextmanager
def one_line_errors(config: str, setup: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn errors that follow from a user's input into a ``ValueError`` of one line.

    These are files that a worker of a data loader can not read, a loss that is not finite, too little GPU memory, and
    during the setup everything that building a run from a config raises. The original error is its cause.

    Args:
        config: of the run, for the message.
        setup: whether the run is still being set up: built, or in its first iteration.

    Raises:
        ValueError: as described; other errors pass.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ValueError(
            f'{config}: the GPU has too little memory ({_last_line(error)}); try --amp or a smaller '
            'train_dataloader.batch_size'
        ) from error
    except NonFiniteLossError as error:
        raise ValueError(' '.join(str(error).split())) from error
    except Exception as error:
        if shared_memory.is_full(error):
            raise ValueError(shared_memory.message(_last_line(error))) from error
        if isinstance(error, SyntaxError) and isinstance(error.__context__, KeyboardInterrupt):
            # mmengine takes Ctrl-C for a mistake in the config while it formats one
            raise KeyboardInterrupt from error
        if _OF_WORKER in str(error):
            raise ValueError(f'{config}: {_last_line(error)}') from error
        if setup() and isinstance(error, _OF_CONFIGS):
            reason = ' '.join(str(error).split())
            raise ValueError(
                f'{config}: {type(error).__name__}: {reason}; correct the config, WTA_SEG_TRACEBACK=1 shows where it failed'
            ) from error
        raise


@contextmanager
def named_folder(folder: str | Path) -> Iterator[None]:
    """Give errors of writing that name no file, as of a full disk, the name of the folder that was written to."""
    try:
        yield
    except OSError as error:
        raise named(error, Path(folder), Path(folder)) from error


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
