"""Run programs with their output on the terminal and in a file, stop them, and say why one failed."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# the last line of a Python traceback: `ValueError: …`, `torch.cuda.OutOfMemoryError: …`
EXCEPTION = re.compile(r'^(?:\[rank\d+\]:\s*)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*)')
STOPPING = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, 'SIGHUP') else []))
# seconds that a program has to end after SIGTERM
GRACE = 40


class Stopped(Exception):
    """The job was stopped; the program had no result."""


class Stop:
    """Stops the programs of a job from another thread."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()

    @property
    def requested(self) -> bool:
        """Whether no further program may start."""
        return self._requested.is_set()

    def request(self) -> None:
        """Send SIGTERM to every program; none starts after this."""
        with self._lock:
            self._requested.set()
            for process in self._running:
                process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to every program."""
        with self._lock:
            for process in self._running:
                process.kill()

    def start(self, command: Sequence[str], **options) -> subprocess.Popen:
        """Start a program.

        Raises:
            Stopped: a stop was requested.
        """
        with self._lock:
            if self.requested:
                raise Stopped
            process = subprocess.Popen(command, **options)
            self._running.add(process)
            return process

    def forget(self, process: subprocess.Popen) -> None:
        """The program has ended."""
        with self._lock:
            self._running.discard(process)


class Output:
    """Where a run's messages and the output of its programs go: the terminal, or a file."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open('wb', buffering=0)

    def write(self, data: bytes) -> None:
        """Write bytes, at once."""
        if self._file is not None:
            self._file.write(data)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def print(self, text: str) -> None:
        """Write a line."""
        self.write(f'{text}\n'.encode())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True)
class Context:
    """What the programs of a run share.

    Attributes:
        env: their environment.
        output: where their output goes.
        stop: what stops them.
        own_group: whether each is a process group of its own, which Ctrl-C on the terminal does not reach.
    """

    env: dict[str, str] = field(default_factory=os.environ.copy)
    output: Output = field(default_factory=Output)
    stop: Stop = field(default_factory=Stop)
    own_group: bool = False


def run_logged(
    command: Sequence[str], log: Path, cwd: Path, context: Context, keep_open: Sequence[int] = ()
) -> int:
    """Run ``command``, its output live on ``context.output`` and, from its first byte, in ``log``.

    ``keep_open`` names file descriptors (locks) that the program inherits. If this thread is interrupted, the
    program is ended with it.

    Returns:
        The exit status; negative where a signal ended the program.

    Raises:
        Stopped: a stop was requested, before the program or while it ran.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('wb', buffering=0) as file:
        process = context.stop.start(
            command,
            cwd=cwd,
            env=context.env | {'PYTHONUNBUFFERED': '1'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
            process_group=0 if context.own_group else None,
        )
        try:
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                file.write(chunk)
                context.output.write(chunk)
            status = process.wait()
        finally:
            if process.poll() is None:
                _end(process)
            context.stop.forget(process)
            process.stdout.close()
    if context.stop.requested:
        raise Stopped
    return status


def _end(process: subprocess.Popen) -> None:
    """Send SIGTERM, and SIGKILL where that has no effect."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does; without effect outside the main thread.

    SIGHUP, which a closed terminal sends, stays ignored under ``nohup``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reason(status: int, log: Path) -> str:
    """Why a program with this exit status failed: the signal, its last exception, or its last line."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = '; the kernel sends it when memory runs out' if name == 'SIGKILL' else ''
        return f'ended by {name}{hint}'
    lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-400:]
    exceptions = [match.group(1) for line in lines if (match := EXCEPTION.match(line.strip()))]
    # torchrun repeats the failure of a worker in an exception of its own, after the worker's
    of_worker = [text for text in exceptions if 'ChildFailedError' not in text]
    last_lines = [line.strip() for line in lines if line.strip()]
    return f'{(of_worker or exceptions or last_lines or ["no output"])[-1]} (exit status {status})'
