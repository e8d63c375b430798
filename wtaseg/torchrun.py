"""``python -m wtaseg.torchrun``: torchrun with its arguments, which says in one line which process failed.

torchrun ends the other processes as soon as one has ended: with SIGTERM, and after 30 seconds with SIGKILL.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmseg.utils.distributed_run import LOST_OTHERS

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

#: Exit statuses of a training that a signal stopped; it has said so itself.
_STOPPED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, 'SIGHUP', 1)))


def command_line(count: int) -> list[str]:
    """The beginning of a command that starts ``count`` processes of this machine; ``-m MODULE`` or a script follows."""
    return [sys.executable, '-m', 'wtaseg.torchrun', '--standalone', f'--nproc_per_node={count}']


def main(argv: Sequence[str] | None = None) -> int:
    """Start the processes and wait for them.

    Returns:
        0; the exit status of the process that failed first; 128 + the signal that ended it, or this one.
    """
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # torchrun does so with a warning
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.ERROR)  # of torchrun: what it sends to which process
    try:
        run(parse_args(list(sys.argv[1:] if argv is None else argv)))
    except ChildFailedError as error:
        rank, failure = first_failure(error)
        if failure.exitcode not in _STOPPED:
            print(describe(rank, failure), file=sys.stderr, flush=True)
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    return 0


def first_failure(error: 'ChildFailedError') -> 'tuple[int, ProcessFailure]':
    """Rank and failure of the process that ended first, not of one that ended because another had."""
    because = (LOST_OTHERS, -signal.SIGTERM)
    return min(
        error.failures.items(), key=lambda item: (item[1].exitcode in because, item[1].timestamp, item[0])
    )


def describe(rank: int, failure: 'ProcessFailure') -> str:
    """One line: ``'rank 1 (process 4242) was ended by SIGKILL; the other processes have been ended'``."""
    how = f'ended with exit status {failure.exitcode}'
    if failure.exitcode < 0:
        how = f'was ended by {signal.Signals(-failure.exitcode).name}'
    return f'rank {rank} (process {failure.pid}) {how}; the other processes have been ended'


if __name__ == '__main__':
    sys.exit(main())
