"""Run a program with its output on the terminal and in a file, and say why it failed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# the last line of a Python traceback: `ValueError: …`, `torch.cuda.OutOfMemoryError: …`
EXCEPTION = re.compile(r'^(?:\[rank\d+\]:\s*)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b.*)')


def run_logged(
    command: Sequence[str], log: Path, cwd: Path, env: dict[str, str], keep_open: Sequence[int]
) -> int:
    """Run ``command``, its output live on stdout and, from its first byte, in ``log``.

    ``keep_open`` names file descriptors (locks) that the program inherits. If this process is interrupted, the
    program is ended with it.

    Returns:
        The exit status; negative where a signal ended the program.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('wb', buffering=0) as file:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env | {'PYTHONUNBUFFERED': '1'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
        )
        try:
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                file.write(chunk)
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            return process.wait()
        finally:
            if process.poll() is None:
                _end(process)
            process.stdout.close()


def _end(process: subprocess.Popen) -> None:
    """Ask the program to end, and after half a minute make it."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def reason(status: int, log: Path) -> str:
    """Why a program with this exit status failed: the signal, its last exception, or its last line."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = '; the kernel does so when memory runs out' if name == 'SIGKILL' else ''
        return f'ended by {name}{hint}'
    lines = log.read_text(encoding='utf-8', errors='replace').splitlines()[-400:]
    found = [match.group(1) for line in lines if (match := EXCEPTION.match(line.strip()))]
    # torchrun repeats the failure of a worker in an exception of its own, after the worker's
    own = [text for text in found if 'ChildFailedError' not in text]
    words = (own or found or [line.strip() for line in lines if line.strip()] or ['no output'])[-1]
    return f'{words} (exit status {status})'
