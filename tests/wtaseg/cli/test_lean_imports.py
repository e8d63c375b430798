"""A program imports Transformers only where it is used."""

import subprocess
import sys

import pytest
import torch
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS

from wtaseg.cli.lean_imports import adafactor

pytest.importorskip('transformers')

PROGRAM = """
import sys
from wtaseg.cli import main

finders = list(sys.meta_path)
status = main(['train', 'nothing/there'])
assert sys.meta_path == finders
from mmengine.registry import OPTIMIZERS
print(status, *(name for name in ('mmengine.optim', 'transformers') if name in sys.modules))
print(OPTIMIZERS.get('Adafactor').__module__)
"""


def test_a_training_does_not_import_transformers():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ['1 mmengine.optim', 'wtaseg.cli.lean_imports']


def test_the_optimizer_of_transformers_is_built_by_its_name(monkeypatch):
    from transformers import Adafactor

    monkeypatch.setitem(OPTIMIZERS.module_dict, 'Adafactor', adafactor)
    options = dict(type='Adafactor', lr=1e-3, relative_step=False)
    constructor = DefaultOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=options))
    wrapper = constructor(torch.nn.Linear(2, 2))
    assert type(wrapper.optimizer) is Adafactor and wrapper.get_lr()['lr'] == [1e-3]
