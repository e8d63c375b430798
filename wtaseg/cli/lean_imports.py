"""Start programs quickly: leave out what they do not use.

Where Transformers is installed, mmengine imports it, for one optimizer (Adafactor): about three seconds, more than all
other imports of a training together.
"""

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_IMPORTER = 'mmengine.optim.optimizer.builder'
_HIDDEN = 'transformers'


@contextmanager
def without_transformers() -> Iterator[None]:
    """While this lasts, mmengine registers Adafactor without importing Transformers, which follows on first use."""
    finder = _LeanFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def exempt_modules_from_collection() -> None:
    """Let later garbage collections pass over what is imported; mmengine runs one for every dataset of a training."""
    gc.collect()
    gc.freeze()


def adafactor(params: Any, **options: Any) -> Any:
    """The optimizer ``transformers.Adafactor``.

    Args:
        params: parameters, or groups of them.
        options: its other arguments.
    """
    from transformers import Adafactor

    return Adafactor(params, **options)


class _LeanFinder(MetaPathFinder):
    """Finds the one module of mmengine that imports Transformers, and hides Transformers while it is executed."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != _IMPORTER or _HIDDEN in sys.modules or importlib.util.find_spec(_HIDDEN) is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _hiding(spec.loader.exec_module)
        return spec


def _hiding(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """``execute``, during which importing Transformers fails and after which Adafactor is registered."""

    def execute_and_register(module: ModuleType) -> None:
        sys.modules[_HIDDEN] = None
        try:
            execute(module)
        finally:
            del sys.modules[_HIDDEN]
        module.OPTIMIZERS.register_module(name='Adafactor', module=adafactor)
        module.TRANSFORMERS_OPTIMIZERS.append('Adafactor')

    return execute_and_register
