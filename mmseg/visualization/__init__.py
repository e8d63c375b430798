"""Drawing of label maps.

The visualizer is imported on first use: it needs most of mmengine, the modules that only draw do not.
"""

from importlib import import_module
from typing import Any

__all__ = ['SegLocalVisualizer']


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module('.local_visualizer', __name__), name)
