"""The captured training step without a GPU: a backend that calls the function takes the place of CUDA graphs."""

import logging

import pytest
import torch
from mmengine.hooks import Hook

from mmseg.engine import FeatureCacheHook, NonFiniteLossError, build_runner
from mmseg.engine.captured import TrainingStep, obstacle
from mmseg.engine.captured.install import autocast_losses
from mmseg.engine.captured.step import WARM_UP_STEPS

PLAIN = {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None, 'train_cfg.max_iters': 7}
LOGGER = logging.getLogger('captured')  # mmengine's does not propagate
CLIP = {'optim_wrapper.clip_grad': dict(max_norm=0.1)}


class _Calls:
    """Replays by calling the function again."""

    def __init__(self, error: Exception | None = None, in_warm_up: bool = False) -> None:
        self.error, self.in_warm_up = error, in_warm_up
        self.captures = self.replays = self.recovered = 0

    def warm_up(self, function, strict):
        if strict and self.in_warm_up:
            raise self.error
        function()

    def capture(self, function):
        if self.error is not None:
            raise self.error
        self.captures += 1

        def replay():
            self.replays += 1
            function()

        return replay

    def recover(self):
        self.recovered += 1


def _train(experiment, backend=None, prepare=None, hook=None, **options):
    """The runner after a training, with its captured step where a backend is given."""
    runner = build_runner(experiment(**PLAIN | options))
    if hook is not None:
        runner.register_hook(hook)
    if backend is not None:

        def install(target):
            runner.model.train_step = TrainingStep(runner.model, runner.optim_wrapper, backend, logger=LOGGER)
            runner.obstacle = obstacle(runner)
            if prepare is not None:
                prepare(runner)

        runner._maybe_compile = install
    runner.train()
    return runner


def _log(runner, name):
    values, _ = runner.message_hub.get_scalar(f'train/{name}').data
    return values


def _assert_same(runner, expected):
    for name in ('loss', 'lr', 'decode.acc_seg'):
        assert _log(runner, name) == pytest.approx(_log(expected, name), rel=1e-5)
    weights = expected.model.state_dict()
    for key, value in runner.model.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-5, atol=1e-6)
    assert set(runner.message_hub.log_scalars) == set(expected.message_hub.log_scalars)


@pytest.mark.parametrize(
    'options',
    [
        CLIP,
        {'optim_wrapper.optimizer': dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01, _delete_=True)},
        {'optim_wrapper.accumulative_counts': 2, **CLIP},
        {
            'optim_wrapper.paramwise_cfg': dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
            'frozen_layers': ['backbone.learning_to_downsample'],
            'custom_hooks': [dict(type='EMAHook', ema_type='WarmUpEMA')],
        },
    ],
    ids=['adam-clip', 'sgd', 'accumulate', 'layers-ema'],
)
def test_captured_training_is_the_ordinary_one(experiment, tmp_path, options):
    backend = _Calls()
    runner = _train(experiment, backend, **options)
    expected = _train(experiment, **options | {'work_dir': str(tmp_path / 'eager')})
    counts = options.get('optim_wrapper.accumulative_counts', 1)
    assert runner.obstacle is None and runner.model.train_step.captured
    assert backend.captures == counts
    assert backend.replays == 7 - WARM_UP_STEPS
    _assert_same(runner, expected)
    assert runner.optim_wrapper._global_step == expected.optim_wrapper._global_step
    files = [torch.load(f'{one.work_dir}/iter_7.pth', weights_only=True) for one in (runner, expected)]
    groups = [file['optimizer']['param_groups'] for file in files]
    assert groups[0] == groups[1]  # the optimizer of a checkpoint is an ordinary one
    steps = [[state.get('step') for state in file['optimizer']['state'].values()] for file in files]
    assert steps[0] == steps[1]
    if 'custom_hooks' in options:
        for key, value in files[1]['ema_state_dict'].items():
            torch.testing.assert_close(files[0]['ema_state_dict'][key], value, rtol=1e-5, atol=1e-6)


def test_a_captured_training_resumes_as_an_ordinary_one_and_back(experiment, tmp_path):
    whole = _train(experiment, work_dir=str(tmp_path / 'whole'))
    for first, second in ((_Calls(), None), (None, _Calls())):
        folder = str(tmp_path / f'resumed_{first is None}')
        # the schedule goes on, so both know its end
        _train(experiment, first, **{'train_cfg.max_iters': 4, 'work_dir': folder})
        resumed = _train(experiment, second, resume=True, work_dir=folder)
        _assert_same(resumed, whole)


def _lines(caplog):
    return [record.message for record in caplog.records if 'runs eagerly' in record.message]


@pytest.mark.parametrize('in_warm_up', [False, True])
def test_a_failed_capture_falls_back(experiment, tmp_path, caplog, in_warm_up):
    backend = _Calls(RuntimeError('operation not permitted\nwhen capturing'), in_warm_up)
    with caplog.at_level(logging.WARNING):
        runner = _train(experiment, backend, **CLIP)
    (line,) = _lines(caplog)
    assert line.endswith('RuntimeError: operation not permitted')
    assert backend.recovered == 1 and not runner.model.train_step.captured
    _assert_same(runner, _train(experiment, **CLIP | {'work_dir': str(tmp_path / 'eager')}))


class _Thaw(Hook):
    """Trains a parameter from iteration 5 on that was frozen before."""

    capturable = True

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        next(runner.model.parameters()).requires_grad_(batch_idx >= 5)


def test_a_change_between_replays_falls_back(experiment, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        runner = _train(experiment, _Calls(), hook=_Thaw())
    (line,) = _lines(caplog)
    assert line.endswith('settings of the optimizer have changed')
    _assert_same(runner, _train(experiment, hook=_Thaw(), work_dir=str(tmp_path / 'eager')))


def _step_and_batch(experiment):
    runner = build_runner(experiment(**PLAIN))
    batch = next(iter(runner.train_loop.dataloader))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return TrainingStep(runner.model, wrapper, _Calls(), logger=LOGGER), batch


def test_another_shape_falls_back(experiment, caplog):
    step, batch = _step_and_batch(experiment)
    step.model.data_preprocessor.size, step.model.data_preprocessor.size_divisor = None, 1
    for _ in range(WARM_UP_STEPS + 1):
        step(batch)
    smaller = dict(inputs=[image[:, :32] for image in batch['inputs']], data_samples=[])
    for sample in batch['data_samples']:
        other = sample.new()
        other.gt_sem_seg = sample.gt_sem_seg.new(data=sample.gt_sem_seg.data[:, :32])
        smaller['data_samples'].append(other)
    assert step.captured
    with caplog.at_level(logging.WARNING):
        assert step(smaller)['loss'].isfinite()
    assert 'the shape of inputs changes from (2, 3, 48, 48) to (2, 3, 32, 48)' in _lines(caplog)[0]


def test_values_for_the_log_survive_the_next_replay(experiment):
    step, batch = _step_and_batch(experiment)
    results = [step(batch)['loss'] for _ in range(WARM_UP_STEPS + 3)]
    assert len({float(value) for value in results}) == len(results)
    assert not any(value.requires_grad for value in results)


def test_a_loss_that_is_not_finite_names_the_files_of_its_batch(experiment):
    options = {'optim_wrapper.optimizer.lr': 1e30, 'default_hooks.logger.interval': 3, 'param_scheduler': []}
    with pytest.raises(NonFiniteLossError, match=r'iteration \d: .*loss_ce = nan') as error:
        _train(experiment, _Calls(), **options | {'train_dataloader.sampler.shuffle': False})
    iteration = int(str(error.value).partition('iteration ')[2][0])
    first = 2 * (iteration - 1) % 8
    assert f'{first}.png\n' in str(error.value) and f'{first + 1}.png' in str(error.value)


class _Counts(torch.nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x


def test_what_a_graph_can_not_follow_falls_back(experiment, caplog):
    def count(runner):
        runner.model.decode_head.dropout = _Counts()

    with caplog.at_level(logging.WARNING):
        runner = _train(experiment, _Calls(), count)
    (line,) = _lines(caplog)
    assert line.endswith('the model counts in Python: decode_head.dropout.calls changes in each step')
    assert runner.iter == 7 and len(_log(runner, 'loss')) == 7


class _Stranger(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        pass


def test_obstacles_are_named(experiment, tmp_path):
    def reason(hook=None, **options):
        runner = build_runner(experiment(**PLAIN | options | {'work_dir': str(tmp_path / 'obstacle')}))
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        if hook is not None:
            runner.register_hook(hook)
        return obstacle(runner)

    assert reason() is None
    assert reason(_Thaw()) is None
    assert 'FeatureCacheHook does' in reason(FeatureCacheHook())
    assert '_Stranger.after_train_iter' in reason(_Stranger())
    assert 'AmpOptimWrapper' in reason(**{'optim_wrapper.type': 'AmpOptimWrapper'})
    assert 'LBFGS' in reason(**{'optim_wrapper.optimizer': dict(type='LBFGS', _delete_=True)})
    assert 'reads the norm' in reason(
        **{'optim_wrapper.clip_grad': dict(max_norm=1, error_if_nonfinite=True)}
    )
    assert "mode='reduce-overhead'" in reason(compile=dict(mode='reduce-overhead'))
    momentum = dict(type='LinearMomentum', start_factor=0.5, by_epoch=False, begin=0, end=9)
    sgd = dict(type='SGD', lr=0.1, momentum=0.9, _delete_=True)
    assert 'changes momentum' in reason(**{'optim_wrapper.optimizer': sgd, 'param_scheduler': [momentum]})


def test_eager_bfloat16_is_autocast(experiment, tmp_path):
    def autocast(runner):
        autocast_losses(runner.optim_wrapper, torch.bfloat16, 'cpu')
        del runner.model.train_step

    eager = _train(experiment, _Calls(), autocast)

    def captured(runner):
        runner.model.train_step.dtype = torch.bfloat16

    graph = _train(experiment, _Calls(), captured, work_dir=str(tmp_path / 'graph'))
    exact = _train(experiment, work_dir=str(tmp_path / 'exact'))
    assert _log(graph, 'loss') == pytest.approx(_log(eager, 'loss'), rel=1e-5)
    assert (_log(graph, 'loss') != _log(exact, 'loss')).any()
    assert _log(graph, 'loss') == pytest.approx(_log(exact, 'loss'), rel=0.05)
