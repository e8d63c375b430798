"""Errors of users in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmseg.engine import NonFiniteLossError
from mmseg.utils.config_errors import CAUSES

# what wrong values in a config raise in the parts that are built from it
_OF_CONFIGS = (*CAUSES, RuntimeError)
#: Precedes the traceback of a data loader's worker in the message of its error.
_OF_WORKER = 'Original Traceback'


@contextmanager
def one_line_errors(config: str, setup: bool = False) -> Iterator[None]:
    """Turn errors that follow from a user's input into a ``ValueError`` of one line.

    These are files that a worker of a data loader can not read, a loss that is not finite, too little GPU memory, and
    with ``setup`` everything that building a run from a config raises. The original error is its cause.

    Args:
        config: of the run, for the message.
        setup: the run is being built.

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
        if isinstance(error, SyntaxError) and isinstance(error.__context__, KeyboardInterrupt):
            # mmengine takes Ctrl-C for a mistake in the config while it formats one
            raise KeyboardInterrupt from error
        if _OF_WORKER in str(error):
            raise ValueError(f'{config}: {_last_line(error)}') from error
        if setup and isinstance(error, _OF_CONFIGS):
            raise ValueError(f'{config}: {type(error).__name__}: {" ".join(str(error).split())}') from error
        raise


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
