"""Gradients accumulated over several batches."""

import os
import signal
from itertools import pairwise

import pytest
import torch

from mmseg.engine import build_runner
from mmseg.utils import training_config

pytestmark = pytest.mark.filterwarnings('error:Detected call')
# with dropout, a large batch draws other masks than its halves
PLAIN = {'model.decode_head.dropout_ratio': 0, 'param_scheduler': [], 'train_cfg.max_iters': 2}
SGD = {'optim_wrapper.optimizer': dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01, _delete_=True)}


def _train(experiment, count=1, **options):
    cfg = experiment(**{'val_dataloader.dataset.indices': 1} | options)
    if count > 1:
        training_config.accumulate_gradients(cfg, count)
    runner = build_runner(cfg)
    runner.train()
    return runner


def _weights(runner):
    return torch.load(f'{runner.work_dir}/iter_{runner.iter}.pth', weights_only=True)['state_dict']


def _log(runner, name):
    values, _ = runner.message_hub.get_scalar(f'train/{name}').data
    return values


@pytest.mark.parametrize('clip', [None, dict(max_norm=0.1)])
@pytest.mark.parametrize('amp', [False, True])
def test_accumulated_batches_are_one_large_batch(experiment, tmp_path, clip, amp):
    options = PLAIN | SGD | {'train_cfg.val_interval': 1000, 'optim_wrapper.clip_grad': clip}
    if amp:
        options |= {'optim_wrapper.type': 'AmpOptimWrapper'}
    large = _train(
        experiment, **options | {'train_dataloader.batch_size': 4, 'work_dir': str(tmp_path / 'large')}
    )
    halves = _train(experiment, 2, **options | {'train_cfg.max_iters': 4})
    for one, other in zip(_log(large, 'loss'), _log(halves, 'loss').reshape(2, 2).mean(1)):
        assert one == pytest.approx(other, rel=1e-2 if amp else 1e-6)
    # bfloat16 rounds every activation's gradient to three digits; its sums then have another order
    tolerance = dict(rtol=0, atol=2e-3) if amp else dict(rtol=1e-5, atol=1e-6)
    start = build_runner(experiment(**options)).model.state_dict()
    expected, weights = _weights(large), _weights(halves)
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, **tolerance)
    assert max((value - start[key]).abs().max() for key, value in expected.items()) > 5e-3
    if clip:
        norms = _log(halves, 'grad_norm')
        assert len(norms) == 2 and min(norms) > 0.1  # clipped once an update, after all gradients
        assert norms == pytest.approx(_log(large, 'grad_norm'), rel=2e-2 if amp else 1e-4)


def test_iterations_and_schedule_count_batches(experiment):
    runner = _train(
        experiment,
        2,
        **{
            'train_cfg.max_iters': 5,
            'default_hooks.checkpoint.interval': 1,
            'optim_wrapper.optimizer.lr': 0.008,
        },
    )
    # polynomial decay with power 0.9, whose last of 8 iterations has rate 0
    rates = [0.008 * (1 - i / 7) ** 0.9 for i in range(5)]
    assert _log(runner, 'lr') == pytest.approx(rates)
    weights = [
        torch.load(f'{runner.work_dir}/iter_{i}.pth', weights_only=True)['state_dict'] for i in range(1, 6)
    ]
    changed = [
        any(not torch.equal(before[key], after[key]) for key in before) for before, after in pairwise(weights)
    ]
    assert changed == [True, False, True, True]  # in iterations 2 to 5; the last batch is not lost


def test_a_run_stopped_between_two_updates_continues_exactly(experiment, tmp_path):
    options = {'train_cfg.max_iters': 6, 'optim_wrapper.clip_grad': dict(max_norm=0.1)}
    whole = _train(experiment, 3, **options, work_dir=str(tmp_path / 'whole'))
    cfg = training_config.accumulate_gradients(experiment(**options), 3)
    stopped = build_runner(cfg)
    run_iter = stopped.train_loop.run_iter

    def kill(batch):
        run_iter(batch)
        if stopped.iter == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    stopped.train_loop.run_iter = kill
    with pytest.raises(SystemExit):
        stopped.train()
    saved = torch.load(f'{stopped.work_dir}/iter_4.pth', weights_only=True)
    assert saved['accumulated_gradients']['counts'] == 3
    resumed = _train(experiment, 3, **options, resume=True)
    first, second = _weights(whole), _weights(resumed)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert 'accumulated_gradients' not in torch.load(f'{resumed.work_dir}/iter_6.pth', weights_only=True)


def test_the_average_of_weights_follows_their_updates(experiment):
    cfg = training_config.average_weights(
        training_config.accumulate_gradients(experiment(**{'train_cfg.max_iters': 5}), 2)
    )
    runner = build_runner(cfg)
    runner.train()
    saved = torch.load(f'{runner.work_dir}/iter_5.pth', weights_only=True)
    assert saved['ema_state_dict']['steps'] == 3


def test_what_can_not_be_accumulated_is_refused(experiment):
    with pytest.raises(ValueError, match='--accumulate: 0; expected'):
        training_config.accumulate_gradients(experiment(), 0)
    with pytest.raises(ValueError, match='several optimizers'):
        training_config.accumulate_gradients(experiment(**{'optim_wrapper.type': 'OptimWrapperDict'}), 2)
