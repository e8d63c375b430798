"""How a process of a distributed run begins and ends."""

import atexit
import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed

#: Exit status of a process that has lost the others of a distributed run.
LOST_OTHERS = 75
# what NCCL and gloo say of a connection whose other end is gone
_LOST = re.compile(
    r'connection (was )?(closed|reset)|broken pipe|remote process exited|closed by peer', re.IGNORECASE
)
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


@contextmanager
def one_of_several() -> Iterator[None]:
    """A run that may be one process of several: it ends with the others, and with the program that started them.

    A lost connection to another process ends this one with one line and :data:`LOST_OTHERS`, without waiting for what
    the GPU still computes.
    """
    if 'TORCHELASTIC_RUN_ID' in os.environ and sys.platform == 'linux':
        # torchrun itself may be killed, which no one else would notice
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        yield
    except RuntimeError as error:
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not several or not _LOST.search(str(error)):
            raise
        rank = torch.distributed.get_rank()
        print(f'rank {rank}: the connection to another process is lost', file=sys.stderr, flush=True)
        os._exit(LOST_OTHERS)


def end_distributed_run(status: int = 0) -> None:
    """End a process of a distributed run with an exit status; does nothing in a run of one process.

    gloo's threads outlive their process group (torch 2.13) and may call Python while it shuts down, which aborted
    about one in twenty finished runs on two CPU processes. So the process exits without that shutdown.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    torch.distributed.destroy_process_group()
    atexit._run_exitfuncs()  # of logging, of the data loaders' workers
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
