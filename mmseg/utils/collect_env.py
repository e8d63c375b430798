"""Versions of everything in a run's environment."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from mmengine.utils import get_git_hash
from mmengine.utils.dl_utils import collect_env as collect_base_env

import mmseg


@contextmanager
def torchvision_hidden() -> Iterator[None]:
    """Let ``import torchvision`` fail with an ImportError, unless it is imported already.

    mmengine imports it to report its version. The usual wheel raises a RuntimeError beside a CPU-only torch and
    leaves a partly imported module behind, which breaks others.
    """
    if 'torchvision' in sys.modules:
        yield
        return
    sys.modules['torchvision'] = None  # the import system's way to block a name
    try:
        yield
    finally:
        del sys.modules['torchvision']


def collect_env() -> dict[str, str]:
    """Versions that results depend on: Python, torch, CUDA, compilers, OpenCV, mmengine, this package."""
    with torchvision_hidden():
        env = collect_base_env()
    with suppress(PackageNotFoundError):
        env['TorchVision'] = f'{version("torchvision")} (not imported)'
    env['MMSegmentation'] = f'{mmseg.__version__} (interface)'
    env['wta-seg'] = f'{mmseg.PROJECT_VERSION}+{get_git_hash()[:7]}'
    return env


if __name__ == '__main__':
    for name, value in collect_env().items():
        print(f'{name}: {value}')
