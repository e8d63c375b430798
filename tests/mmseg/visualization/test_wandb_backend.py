"""Recording with Weights & Biases, whose package is a stub here."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from mmengine.config import Config

import mmseg.visualization.wandb_backend  # noqa: F401  before the stub, which other packages would look at
from mmseg.registry import VISBACKENDS


class LoginError(Exception):
    """The base class of the package's errors."""


@pytest.fixture
def calls(monkeypatch):
    """The calls of the stub, in order: name and what was given."""
    made = []

    def call(name):
        return lambda *args, **kwargs: made.append((name, args, kwargs))

    stub = ModuleType('wandb')
    stub.init, stub.define_metric, stub.log = call('init'), call('define_metric'), call('log')
    stub.config = SimpleNamespace(update=call('config'))
    stub.run = SimpleNamespace(log_code=call('code'))
    stub.errors = ModuleType('wandb.errors')
    stub.errors.Error = LoginError
    monkeypatch.setitem(sys.modules, 'wandb', stub)
    monkeypatch.setitem(sys.modules, 'wandb.errors', stub.errors)
    return made


def build(folder, **settings):
    return VISBACKENDS.build(dict(type='WandbVisBackend', save_dir=str(folder), **settings))


def test_values_are_recorded_over_the_iteration(tmp_path, calls):
    backend = build(tmp_path)
    backend.add_scalars({'loss': 0.5}, step=50)
    backend.add_scalars({'mIoU': 20.0}, step=50)
    backend.add_scalar('lr', 0.1, step=100)
    assert ('define_metric', ('*',), {'step_metric': 'iter'}) in calls
    logged = [args[0] for name, args, _ in calls if name == 'log']
    assert logged == [{'loss': 0.5, 'iter': 50}, {'mIoU': 20.0, 'iter': 50}, {'lr': 0.1, 'iter': 100}]


def test_python_files_are_uploaded_only_where_a_name_is_given(tmp_path, calls):
    config = Config({'lr': 0.1})
    build(tmp_path).add_config(config)
    assert [name for name, *_ in calls] == ['init', 'define_metric', 'config']
    assert calls[-1][1] == ({'lr': 0.1},)
    build(tmp_path, log_code_name='mine').add_config(config)
    assert calls[-1] == ('code', (), {'name': 'mine'})


def test_who_is_not_logged_in_is_told_what_to_do(tmp_path, calls, monkeypatch):
    def refuse(**_):
        raise LoginError('No API key configured.\nmore')

    monkeypatch.setattr(sys.modules['wandb'], 'init', refuse)
    with pytest.raises(ValueError, match=r'\(No API key configured\.\).*wandb login.*WANDB_MODE=offline'):
        build(tmp_path).add_config(Config())
