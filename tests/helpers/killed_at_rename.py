"""Kill a process at the moment in which it is about to rename a file, which is how files appear whole or not at all."""

import os
import signal
from pathlib import Path


def kill_at_rename(renames: int) -> None:
    """Kill this process by SIGKILL before the rename after so many."""
    left, replace = renames, Path.replace

    def counted(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = counted
