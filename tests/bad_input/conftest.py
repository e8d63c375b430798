"""Bounds that hold for every bad input: seconds and memory."""

import resource
import signal

import pytest

MOST_SECONDS = 20
#: Growth of the process's memory over one case, in KiB as Linux counts.
MOST_MEMORY = 700 * 1024


class Hanging(BaseException):
    """A case takes too long; no ``except`` of a reader takes it for a broken file."""


@pytest.fixture(autouse=True)
def bounds():
    """End a case that hangs, and fail one that takes much memory."""

    def stop(*_):
        raise Hanging(f'not refused within {MOST_SECONDS} s')

    before = signal.signal(signal.SIGALRM, stop)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MOST_MEMORY
