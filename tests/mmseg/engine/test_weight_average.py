"""The moving average of the weights: its values, and where it is used."""

import copy
import os
import signal

import pytest
import torch
from torch import nn

from mmseg.apis import init_model
from mmseg.engine import WarmUpEMA, build_runner
from mmseg.utils import launch, training_config

BN = dict(type='BN', _delete_=True)


def _weights(path):
    return torch.load(path, weights_only=True)


def _averaging(experiment, **options):
    cfg = experiment(**{'model.decode_head.norm_cfg': BN} | options)
    return training_config.average_weights(cfg)


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_average_moves_by_the_documented_share():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = WarmUpEMA(model, momentum=0.75, warm_up=2)
    for weight, expected in ((6.0, 6.0), (0.0, 6 - 0.75 * 6), (3.0, 1.5 + 0.75 * 1.5), (0.0, 2.625 * 0.25)):
        model[0].weight.data.fill_(weight)
        model[1].running_mean.fill_(weight)
        model[1].num_batches_tracked += 1
        average.update_parameters(model)
        assert average.module[0].weight.item() == average.module[1].running_mean.item() == expected
        assert average.module[1].num_batches_tracked == model[1].num_batches_tracked
    # the window: the last tenth of the updates, at most 5,000 of them
    average = WarmUpEMA(model)
    assert [average.share(t) for t in (0, 10, 90, 90_000)] == [1, 0.5, 0.1, 0.0002]
    with pytest.raises(ValueError, match='momentum=1; expected'):
        WarmUpEMA(model, momentum=1)
    with pytest.raises(ValueError, match='warm_up=0; expected'):
        WarmUpEMA(model, warm_up=0)


def test_buffers_can_be_copied_instead():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = WarmUpEMA(model, update_buffers=False)
    for value in (1.0, 5.0):
        model[1].running_mean.fill_(value)
        average.update_parameters(model)
        assert average.module[1].running_mean.item() == value


def test_checkpoints_validation_and_test_use_the_average(experiment):
    """The average of a training is computed here again from the weights after each iteration."""
    runner = build_runner(_averaging(experiment, **{'train_cfg.val_interval': 4}))
    steps, validated = [], []
    run_iter, run_val = runner.train_loop.run_iter, None

    def record(batch):
        run_iter(batch)
        steps.append(copy.deepcopy(runner.model.state_dict()))

    runner.train_loop.run_iter = record
    run_val = runner.val_loop.run_iter
    runner.val_loop.run_iter = lambda index, batch: (
        validated.append(copy.deepcopy(runner.model.state_dict())),
        run_val(index, batch),
    )
    runner.train()
    expected = steps[0]
    for t, weights in enumerate(steps[1:], 1):
        share = max(0.0002, 10 / (10 + t))
        expected = {
            key: torch.lerp(value, weights[key], share) if value.is_floating_point() else weights[key]
            for key, value in expected.items()
        }
    saved = _weights(f'{runner.work_dir}/iter_4.pth')
    for key, value in expected.items():
        torch.testing.assert_close(saved['state_dict'][key], value, rtol=1e-6, atol=1e-7)
    assert not _same(saved['state_dict'], steps[-1])
    assert any('running_mean' in key for key in expected)
    assert all(_same(weights, saved['state_dict']) for weights in validated) and len(validated) == 8
    # the model of the training is as it was, what is loaded for predictions is the average
    raw = {key.removeprefix('module.'): value for key, value in saved['ema_state_dict'].items()}
    raw.pop('steps')
    assert _same(runner.model.state_dict(), steps[-1]) and _same(raw, steps[-1])
    loaded = init_model(runner.cfg, f'{runner.work_dir}/iter_4.pth', device='cpu')
    assert _same(loaded.state_dict(), saved['state_dict'])
    runner.test_loop.run_iter = lambda index, batch: validated.append(
        copy.deepcopy(runner.model.state_dict())
    )
    runner.test_loop.evaluator.evaluate = lambda size: {}
    runner.test()
    assert len(validated) == 16 and _same(validated[-1], saved['state_dict'])


def test_a_test_with_views_uses_the_loaded_weights(experiment):
    runner = build_runner(_averaging(experiment, **{'train_cfg.max_iters': 2}))
    runner.train()
    cfg = _averaging(experiment, load_from=f'{runner.work_dir}/iter_2.pth')
    cfg.tta_model = dict(type='SegTTAModel')
    views = [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)]
    cfg.tta_pipeline = [
        dict(type='LoadImageFromFile'),
        dict(
            type='TestTimeAug',
            transforms=[views, [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]],
        ),
    ]
    launch.enable_tta(cfg)
    tester = build_runner(cfg)
    tester.test()
    assert _same(tester.model.module.state_dict(), _weights(f'{runner.work_dir}/iter_2.pth')['state_dict'])


@pytest.mark.parametrize('during_validation', [False, True])
def test_a_stopped_run_continues_with_the_same_average(experiment, tmp_path, during_validation):
    options = {'train_cfg.max_iters': 6, 'val_dataloader.dataset.indices': 2}
    options['train_cfg.val_interval'] = 3 if during_validation else 1000
    whole = build_runner(_averaging(experiment, **options, work_dir=str(tmp_path / 'whole')))
    whole.train()

    stopped = build_runner(_averaging(experiment, **options))
    loop = stopped.val_loop if during_validation else stopped.train_loop
    run_iter = loop.run_iter

    def kill(*args):
        run_iter(*args)
        if stopped.iter >= (3 if during_validation else 2):
            os.kill(os.getpid(), signal.SIGTERM)

    loop.run_iter = kill
    with pytest.raises(SystemExit) as stop:
        stopped.train()
    assert stop.value.code == 128 + signal.SIGTERM and stopped.iter == (2 if during_validation else 3)
    resumed = build_runner(_averaging(experiment, **options, resume=True))
    resumed.train()
    first, second = (_weights(f'{folder}/iter_6.pth') for folder in (whole.work_dir, resumed.work_dir))
    assert second['ema_state_dict']['steps'] == 6
    for part in ('state_dict', 'ema_state_dict'):
        assert _same(first[part], second[part])


def test_resuming_with_other_settings_is_refused_or_said(experiment):
    build_runner(_averaging(experiment, **{'train_cfg.max_iters': 2})).train()
    with pytest.raises(ValueError, match=r'iter_2\.pth: its training averaged the weights.*add --ema'):
        build_runner(experiment(**{'model.decode_head.norm_cfg': BN, 'resume': True})).train()


def test_the_average_can_begin_with_a_resumed_run(experiment):
    options = {'model.decode_head.norm_cfg': BN, 'train_cfg.max_iters': 2}
    runner = build_runner(experiment(**options))
    runner.train()
    resumed = build_runner(_averaging(experiment, **{'train_cfg.max_iters': 3, 'resume': True}))
    resumed.train()
    saved = _weights(f'{runner.work_dir}/iter_3.pth')
    assert saved['ema_state_dict']['steps'] == 1 and _same(saved['state_dict'], resumed.model.state_dict())
