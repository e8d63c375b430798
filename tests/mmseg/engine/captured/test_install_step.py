"""What a runner gets for a GPU; the GPU is pretended."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper

from mmseg.engine import build_runner
from mmseg.engine.captured import StepSettings, TrainingStep, describe_step, install, prepare_for_gpu
from mmseg.structures.stacked_batch import StackedCollate

PLAIN = {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None}


@pytest.fixture
def gpu(monkeypatch):
    """Pretends a GPU; returns a function that sets its compute capability."""
    capability = [(9, 0)]
    monkeypatch.setattr(install, 'on_gpu', lambda model: True)
    monkeypatch.setattr(install, 'CudaBackend', lambda device: SimpleNamespace(device=device))
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device=None: capability[0])
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark_limit', 10, raising=False)

    def be(major, minor=0):
        capability[0] = (major, minor)

    return be


def _runner(experiment, **options):
    runner = build_runner(experiment(**PLAIN | options))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    return runner


def test_the_default_is_captured_bfloat16(experiment, gpu):
    runner = _runner(experiment)
    prepare_for_gpu(runner)
    install.install_training_step(runner)
    step = runner.model.train_step
    assert isinstance(step, TrainingStep) and step.dtype is torch.bfloat16
    assert describe_step(runner) == 'bfloat16, one CUDA graph'
    assert runner._train_dataloader['collate_fn'] == StackedCollate((48, 48), 255)
    weights = [p for p in runner.model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert weights and all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    assert runner.cfg.train_dataloader.get('collate_fn') is None


def test_settings_are_followed(experiment, gpu):
    exact = _runner(experiment, training_step=dict(dtype='float32', data=False))
    prepare_for_gpu(exact)
    install.install_training_step(exact)
    assert exact.model.train_step.dtype is None
    assert describe_step(exact) == 'float32, one CUDA graph'
    assert 'collate_fn' not in exact._train_dataloader
    assert all(weight.is_contiguous() for weight in exact.model.parameters())
    eager = _runner(experiment, training_step=dict(capture=False))
    install.install_training_step(eager)
    assert 'train_step' not in vars(eager.model) and 'optim_context' in vars(eager.optim_wrapper)
    assert describe_step(eager) == 'bfloat16, eager'


def test_an_older_gpu_trains_in_float32(experiment, gpu):
    gpu(7, 5)
    runner = _runner(experiment)
    install.install_training_step(runner)
    assert runner.model.train_step.dtype is None
    assert describe_step(runner) == 'float32, one CUDA graph'


def test_mixed_precision_of_a_config_stays_as_it_is(experiment, gpu, monkeypatch):
    runner = _runner(experiment, **{'optim_wrapper.type': 'AmpOptimWrapper'})
    assert isinstance(runner.optim_wrapper, AmpOptimWrapper)
    lines = []
    monkeypatch.setattr(runner.logger, 'warning', lines.append)
    install.install_training_step(runner)
    assert 'train_step' not in vars(runner.model) and 'optim_context' not in vars(runner.optim_wrapper)
    assert describe_step(runner) is None
    assert lines == [
        'training step: not captured in a CUDA graph, runs eagerly: AmpOptimWrapper updates the weights itself'
    ]


def test_nothing_changes_on_the_cpu(experiment):
    runner = _runner(experiment)
    prepare_for_gpu(runner)
    install.install_training_step(runner)
    install.give_training_step(runner.model, runner.optim_wrapper, StepSettings())
    assert 'train_step' not in vars(runner.model) and 'optim_context' not in vars(runner.optim_wrapper)
    assert 'collate_fn' not in runner._train_dataloader and describe_step(runner) is None
