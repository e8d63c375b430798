"""Bounds that hold for every bad input: seconds and memory."""

import resource
import signal
from pathlib import Path

import pytest
from torture.material import Material

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


@pytest.fixture(scope='session')
def material(tmp_path_factory) -> dict[str, Path]:
    """Paths that commands of the corpus name: a dataset, a small experiment and its checkpoint."""
    made = Material(tmp_path_factory.mktemp('material'), workers=0)
    made.make_blades()
    with pytest.MonkeyPatch.context() as patch:
        # yapf lays out the config of a run, which takes longer than its iterations
        patch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
        made.make_checkpoint()
    names = ('blades', 'configs', 'config', 'checkpoint')
    return {name: getattr(made, name) for name in names}
