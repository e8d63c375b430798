"""What holds during a run: one writer per folder, a fixed random state, and a remedy when GPU memory runs out."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from augment.config import AugmentConfig
from augment.dataset.manifest import PARTS
from augment.files import unwritable
from augment.processes import Processes


@contextmanager
def sole_writer(out: Path, group: Processes) -> Iterator[None]:
    """Lock the output folder against a second run at the same time; ``ValueError`` when there is one."""
    if not group.main:
        yield
        return
    folder = out / PARTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / 'lock').open('a+')
    except OSError as error:
        raise unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = ' '.join(lock.read(200).split()) or 'unknown'
            raise ValueError(
                f'{out} is being written by another run ({holder}); wait for it, end it, or name another --out'
            ) from error
        lock.truncate(0)
        lock.write(f'process {os.getpid()} on {socket.gethostname()}')
        lock.flush()
        yield


@contextmanager
def memory_remedy(config: AugmentConfig) -> Iterator[None]:
    """Turn CUDA's out-of-memory error into a ``MemoryError`` that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f'the GPU has too little memory for batch_size={config.batch_size} at resolution={config.resolution}; '
            'the same command with a smaller --batch-size, or with --low-resource, continues where this one stopped'
        ) from error


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Fixed random state and deterministic kernels, so that a restarted run ends with the same bytes."""
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill, tune = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    with torch.random.fork_rng() if torch.cuda.is_available() else torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.utils.deterministic.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = tune
