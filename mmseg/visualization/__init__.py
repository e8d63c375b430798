"""Drawing of label maps, and recording of runs.

What is registered is imported on first use: it needs most of mmengine, the modules that only draw do not.
"""

from importlib import import_module
from typing import Any

_MODULES = {'SegLocalVisualizer': 'local_visualizer', 'WandbVisBackend': 'wandb_backend'}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_MODULES[name]}', __name__), name)
