"""Run a command of ``wta-seg`` in a forked process, and end it with a signal at a chosen moment."""

import atexit
import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds that a program and its workers may go on after a signal.
GRACE = 60
#: Seconds after which a run counts as hanging.
LONGEST_RUN = 300
_SUBREAPER = 36
_SENT = 'sent '
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Audit events of changes to files; ``open`` is one where it writes.
_CHANGES = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate', 'os.link', 'os.symlink'}


@dataclass(frozen=True)
class Interruption:
    """A signal and its moment.

    Attributes:
        number: the signal.
        seconds: after the start; None: ``operation`` says when.
        operation: just before this change to a file (opened for writing, renamed, removed, …), from 1.
        group: every process of the run receives it, as of a terminal; else the program alone.
    """

    number: signal.Signals
    seconds: float | None = None
    operation: int | None = None
    group: bool = False

    def __str__(self) -> str:
        moment = f'{self.seconds:.2f} s' if self.seconds is not None else f'change {self.operation}'
        return f'{self.number.name} at {moment}{" to all processes" if self.group else ""}'


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        status: exit status; negative: the signal that ended it.
        seconds: how long it took.
        operations: changes to files; 0 where it did not reach its end.
        output: stdout and stderr together.
        survivors: processes of the run that had to be killed afterwards.
        interrupted: the signal was sent.
    """

    status: int
    seconds: float
    operations: int
    output: str
    survivors: int
    interrupted: bool

    @property
    def lines(self) -> list[str]:
        """Lines of the output, without progress bars."""
        return [line.strip() for line in self.output.replace('\r', '\n').splitlines() if line.strip()]


def adopt_orphans() -> None:
    """Become the parent of processes whose parent has ended, so that their end can be seen."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def run(
    call: Callable[[], int | None],
    folder: Path,
    log: Path,
    interruption: Interruption | None = None,
    before: Callable[[], None] = lambda: None,
    patience: float = GRACE,
) -> Ended:
    """Run ``call`` in a process group of its own, in ``folder``.

    Args:
        call: returns the exit status.
        folder: current folder of the process.
        log: file for its output.
        interruption: ends it.
        before: called in the process first.
        patience: seconds that the other processes of the run may go on after it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    start = time.monotonic()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the program begins
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(call, folder, log, interruption, before, writing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(writing)
    interrupted, hanging = False, False
    process = os.pidfd_open(pid)
    limit = LONGEST_RUN
    timed = interruption is not None and interruption.seconds is not None
    if timed and not select.select([process], [], [], interruption.seconds)[0]:
        interrupted, limit = True, GRACE
        (os.killpg if interruption.group else os.kill)(pid, interruption.number)
    if not select.select([process], [], [], limit)[0]:
        hanging = True
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(process)
    seconds = time.monotonic() - start
    reported = _reported(reading)
    os.close(reading)
    survivors = int(hanging) + _wait_for_group(pid, patience)
    output = log.read_text(encoding='utf-8', errors='replace')
    interrupted = interrupted or hanging or _SENT in reported
    return Ended(status, seconds, int(reported.removeprefix(_SENT) or 0), output, survivors, interrupted)


def _reported(pipe: int) -> str:
    """What the process wrote; a worker that survives it holds the pipe open."""
    ready = select.select([pipe], [], [], 0)[0]
    return os.read(pipe, 100).decode() if ready else ''


def _wait_for_group(group: int, patience: float) -> int:
    """Wait until no process of the group is left; returns 1 where the rest had to be killed."""
    deadline = time.monotonic() + patience
    killed = 0
    while True:
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return killed
        if pid == 0:
            if time.monotonic() > deadline and not killed:
                killed = 1
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            time.sleep(0.02)


def _child(call, folder: Path, log: Path, interruption, before, pipe: int) -> None:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _SIGNALS[1:]:
            signal.signal(number, signal.SIG_DFL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.set_inheritable(pipe, False)
        os.chdir(folder)
        before()
        operations = _count_operations(folder, interruption, pipe)
        try:
            _let_signals_in()
            status = call() or 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        for number in _SIGNALS:  # the interpreter's exit is not under test
            signal.signal(number, signal.SIG_IGN)
        threading._shutdown()  # as at the end of a Python program
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(pipe, str(max(1, operations[0])).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _let_signals_in() -> None:
    """Receive the signals that have come so far; Ctrl-C then ends the process before the program has begun."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _count_operations(folder: Path, interruption: Interruption | None, pipe: int) -> list[int]:
    """Count changes to files below ``folder`` from now on, and send the signal before the chosen one."""
    count, root, process = [0], str(folder), os.getpid()
    chosen = interruption.operation if interruption is not None else None

    def watch(event: str, arguments: tuple) -> None:
        if event == 'open':
            if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _CHANGES:
            return
        if os.getpid() != process or not _below(arguments[0], root):
            return
        count[0] += 1
        if count[0] == chosen:
            os.write(pipe, _SENT.encode())
            (os.killpg if interruption.group else os.kill)(process, interruption.number)

    sys.addaudithook(watch)
    return count


def _below(path: object, root: str) -> bool:
    """Whether a path, relative ones from ``root``, is below ``root``."""
    if isinstance(path, int):
        return False
    text = os.fsdecode(path)
    return not text.startswith('/') or text.startswith(root + '/')


def wta_seg(argv: Sequence[str]) -> Callable[[], int]:
    """A call of the command line."""

    def call() -> int:
        from wtaseg.cli import main

        return main(list(argv))

    return call
