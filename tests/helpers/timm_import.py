"""timm beside a torch without torchvision, of which its features need nothing but names."""

import enum
import importlib.machinery
import importlib.util
import sys
import types
from functools import cache

import pytest
import torch

#: Whether timm is installed: pip install --no-deps timm.
INSTALLED = importlib.util.find_spec('timm') is not None
#: Marks what needs timm.
needs_timm = pytest.mark.skipif(not INSTALLED, reason='pip install "wta-seg[timm]"')


class _Standin(types.ModuleType):
    """A module that has every class one asks for."""

    __path__ = ()

    class InterpolationMode(enum.Enum):
        NEAREST, NEAREST_EXACT, BILINEAR, BICUBIC, BOX, HAMMING, LANCZOS = range(7)

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torchvision':
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Standin(spec.name)

    def exec_module(self, module):
        pass


@cache
def import_timm() -> types.ModuleType:
    """timm, imported once beside a stand-in for torchvision, which no other module sees afterwards."""
    before = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition('.')[0] == 'torchvision'
    }
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module('timm')
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:
            del sys.modules[name]
        sys.modules.update(before)
