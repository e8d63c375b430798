"""What a run's environment consists of."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from mmengine.utils import get_git_hash
from mmengine.utils.dl_utils import collect_env as collect_base_env

import mmseg


@contextmanager
def torchvision_hidden() -> Iterator[None]:
    """Make ``import torchvision`` say that there is none, unless it is imported already.

    mmengine imports it to report its version. Next to a CPU-only torch its wheel raises a RuntimeError then,
    and leaves a half-imported module behind that breaks others.
    """
    if 'torchvision' in sys.modules:
        yield
        return
    sys.modules['torchvision'] = None  # the import system's own way to block a name
    try:
        yield
    finally:
        del sys.modules['torchvision']


def collect_env() -> dict[str, str]:
    """Versions of what results depend on: Python, torch, CUDA, compilers, OpenCV, mmengine, this package."""
    with torchvision_hidden():
        env = collect_base_env()
    with suppress(PackageNotFoundError):
        env['TorchVision'] = f'{version("torchvision")} (not imported)'
    env['MMSegmentation'] = f'{mmseg.__version__}+{get_git_hash()[:7]}'
    return env


if __name__ == '__main__':
    for name, value in collect_env().items():
        print(f'{name}: {value}')
