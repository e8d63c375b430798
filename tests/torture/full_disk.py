"""Run a program on a disk that fills up, give it more room, run it again, compare.

The disk is a small tmpfs, in a mount namespace that ends with this process. Where mounting is not allowed, the n-th file
that is opened for writing fails with ENOSPC instead.
"""

import ctypes
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torture import contents
from torture.kills import TRACEBACK, Killer, Reference, Trial
from torture.processes import run
from torture.programs import missing_and_different

#: Sizes of the disk, as shares of what the program needs.
SHARES = (0.05, 0.35, 0.65, 0.95)
#: Of programs that start others, whose runs take long.
FEW_SHARES = (0.35, 0.95)
PAGE = 4096
#: In bytes; of a disk with room for everything.
ROOM = 2**30
_NEW_NAMESPACE = 0x00020000
#: What a message about a full disk has: a path, and the remedy.
_PATH, _REMEDY = re.compile(r'[\w.-]+/[\w.-]+'), re.compile(r'\bfree some space\b', re.IGNORECASE)


def can_mount() -> bool:
    """Enter a mount namespace of this process's own; False: not allowed."""
    if os.geteuid() != 0 or shutil.which('mount') is None:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE):
        return False
    return subprocess.run(['mount', '--make-rprivate', '/'], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """A tmpfs of this many bytes at ``folder``; yields a function that makes it large."""
    options = f'size={max(PAGE, size // PAGE * PAGE)}'
    subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)], check=True)
    grow = ['mount', '-o', f'remount,size={ROOM}', str(folder)]
    try:
        yield lambda: subprocess.run(grow, check=True) and None
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)


@contextmanager
def failing_writes(folder: Path, operation: int) -> Iterator[Callable[[], None]]:
    """Yields a function that is called in the program's process: from then on that file can not be written."""

    def install() -> None:
        count = 0

        def watch(event: str, arguments: tuple) -> None:
            nonlocal count
            writes = event == 'open' and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
            if writes and str(arguments[0]).startswith(str(folder)):
                count += 1
                if count >= operation:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

        sys.addaudithook(watch)

    yield install


class DiskFiller:
    """Runs one program on disks of several sizes.

    Args:
        killer: has the program, its folder and the reference.
        mounts: whether :func:`can_mount`.
    """

    def __init__(self, killer: Killer, mounts: bool) -> None:
        self.killer, self.mounts = killer, mounts

    def trials(self, reference: Reference) -> Iterator[Trial]:
        """A trial for each size."""
        shares = FEW_SHARES if self.killer.program.children else SHARES
        for number, share in enumerate(shares):
            trial = Trial(self.killer.name, number, otherwise=f'a disk of {share:.0%} of the room')
            work = self.killer.folder / f'disk{number}'
            work.mkdir()
            if self.mounts:
                with small_disk(work, int(share * reference.size)) as grow:
                    self._fill(trial, work, reference, lambda: None, grow)
            else:
                operation = 1 + int(share * reference.ended.operations)
                with failing_writes(work, operation) as install:
                    self._fill(trial, work, reference, install, lambda: None)
            yield trial

    def _fill(self, trial: Trial, work: Path, reference: Reference, before, after) -> None:
        killer = self.killer
        ended = run(
            killer.call, work, killer.folder / f'{work.name}.log', before=before, patience=killer.patience
        )
        trial.add('lost', contents.damaged(work))
        if TRACEBACK in ended.output or 'Logging error' in ended.output:
            trial.add('traceback', [ended.output[-3000:]])
        if ended.status == 0:
            missing, different = missing_and_different(reference.contents, killer.contents(work))
            trial.add('silent wrong', missing + different)
        elif not any(_PATH.search(line) and _REMEDY.search(line) for line in ended.lines):
            trial.add('unclear message', [ended.output[-1500:]])
        after()
        killer.to_the_end(trial, work, reference)
