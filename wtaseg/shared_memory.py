"""The shared memory through which the workers of data loaders pass batches."""

import shutil
from pathlib import Path

FOLDER = Path('/dev/shm')
#: Bytes without which no worker can start: its queues and locks are there, too.
LEAST = 2**20
# how PyTorch names it when it runs out
_MARKS = ('shared memory', 'shm_open', 'Bus error', 'unable to write to file </torch')


def is_full(error: BaseException) -> bool:
    """Whether an error of PyTorch means that the shared memory is full."""
    return any(mark in str(error) for mark in _MARKS)


def message(reason: str) -> str:
    """What is full and what to do, in one line."""
    return (
        f'{FOLDER}, through which data loaders pass batches, is full ({reason[:120]}); give it more room (docker run '
        '--shm-size=8g), or set --cfg-options train_dataloader.num_workers=0 train_dataloader.persistent_workers=False'
    )


def check(workers: int) -> None:
    """Check that there is room for data loaders with ``workers`` processes.

    Raises:
        ValueError: there is none; names the folder and what to do.
    """
    if workers == 0 or not FOLDER.is_dir():
        return
    free = shutil.disk_usage(FOLDER).free
    if free < LEAST:
        raise ValueError(message(f'{free // 1024} KiB free, expected at least {LEAST // 1024}'))
