"""SIGINT, SIGTERM and SIGHUP during a training: the process finishes its iteration, the workers of its data loaders go on.

``timeout``, a terminal's Ctrl-C and Slurm send a signal to every process of a run. A worker that dies of it takes the
training with it before a checkpoint is saved.
"""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader

from mmseg.processes import keep_freed_memory

#: What a run listens to, and the handler that Python installs for it.
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
if hasattr(signal, 'SIGHUP'):  # of a closed terminal; not on Windows
    _DEFAULTS[signal.SIGHUP] = signal.SIG_DFL


class StopListener:
    """Remembers the first SIGINT, SIGTERM or SIGHUP; from then on each ends the process at once, or is ignored.

    Attributes:
        received: the signal; None: none so far.
    """

    _active: 'StopListener | None' = None

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._installed: set[signal.Signals] = set()
        self._next = signal.SIG_DFL

    def start(self, insists: bool = False) -> None:
        """Listen to the signals that nothing else handles; does nothing outside the main thread.

        Args:
            insists: further signals are ignored, for processes whose launcher repeats a signal that they had received
                themselves, and kills them after some time.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if StopListener._active is not None:  # of a run that failed
            StopListener._active.stop()
        self.received = None
        self._next = signal.SIG_IGN if insists else signal.SIG_DFL
        StopListener._active = self
        for number, default in _DEFAULTS.items():
            if signal.getsignal(number) == default:
                signal.signal(number, self._on_signal)
                self._installed.add(number)

    def stop(self) -> None:
        """Restore Python's handlers."""
        for number in self._installed:
            signal.signal(number, _DEFAULTS[number])
        self._installed.clear()
        if StopListener._active is self:
            StopListener._active = None

    def _on_signal(self, number: int, _) -> None:
        self.received = signal.Signals(number)
        for installed in self._installed:
            signal.signal(installed, self._next)


def protect_workers(loader: DataLoader) -> DataLoader:
    """Make a loader's workers ignore stop signals that do not come from their parent, and keep the memory that they free.

    In place; returns ``loader``.
    """
    if loader.num_workers > 0:
        loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
    return loader


def _init_worker(init: Callable[[int], None] | None, worker_id: int) -> None:
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'SIGHUP'):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS, where SIGTERM still ends a worker
        parent = os.getppid()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_parent, args=(parent,), daemon=True).start()
    if init is not None:
        init(worker_id)


def _wait_for_parent(parent: int) -> None:
    """End the process on a SIGTERM of its parent, which is how a data loader ends a worker that does not answer."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
