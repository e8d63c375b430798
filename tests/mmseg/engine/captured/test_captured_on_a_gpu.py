"""The captured training step on a GPU; without one these tests are skipped."""

import logging

import pytest
import torch

from mmseg.engine import build_runner
from mmseg.engine.captured import CudaBackend, TrainingStep
from mmseg.engine.captured.step import WARM_UP_STEPS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device'),
]

ITERATIONS = 40
OPTIONS = {
    'train_cfg.max_iters': ITERATIONS,
    'train_dataloader.batch_size': 4,
    'default_hooks.checkpoint.interval': 20,
    'param_scheduler': [dict(type='PolyLR', power=0.9, begin=0, end=ITERATIONS, by_epoch=False)],
    'optim_wrapper.clip_grad': dict(max_norm=1.0),
    'val_dataloader.dataset.indices': 1,
}
EXACT = {'training_step': dict(dtype='float32')}
# sums of gradients in another order, over 40 updates
CLOSE = dict(rel=2e-2)


@pytest.fixture(autouse=True)
def _on_the_gpu(experiment, monkeypatch):
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cuda')


def _train(experiment, **options):
    runner = build_runner(experiment(**OPTIONS | options))
    runner.train()
    return runner


def _log(runner, name='loss'):
    values, _ = runner.message_hub.get_scalar(f'train/{name}').data
    return values


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'optim_wrapper.optimizer': dict(type='SGD', lr=0.05, momentum=0.9, _delete_=True)},
        {
            'optim_wrapper.optimizer': dict(type='AdamW', lr=0.01, _delete_=True),
            'optim_wrapper.accumulative_counts': 2,
        },
        {
            'custom_hooks': [dict(type='EMAHook', ema_type='WarmUpEMA')],
            'frozen_layers': ['backbone.learning_to_downsample'],
            'train_dataloader.num_workers': 2,
        },
    ],
    ids=['adam', 'sgd', 'accumulate', 'ema-workers'],
)
def test_captured_is_eager_in_bfloat16(experiment, tmp_path, options):
    captured = _train(experiment, **options)
    assert captured.model.train_step.captured, captured.model.train_step.reason
    assert 'sides' in captured.model.train_step._static  # preprocessing is in the graph
    eager = _train(experiment, work_dir=str(tmp_path / 'eager'), training_step=dict(capture=False), **options)
    assert _log(captured) == pytest.approx(_log(eager), rel=0.1)
    assert _log(captured).mean() == pytest.approx(_log(eager).mean(), **CLOSE)
    assert _log(captured)[-8:].mean() < 0.7 * _log(captured)[:2].mean()
    assert set(captured.message_hub.log_scalars) == set(eager.message_hub.log_scalars)
    assert (_log(captured, 'lr') == _log(eager, 'lr')).all()


def test_200_iterations_captured_and_eager_learn_alike(experiment, tmp_path):
    length = {
        'train_cfg.max_iters': 200,
        'default_hooks.checkpoint.interval': 200,
        'param_scheduler': [dict(type='PolyLR', power=0.9, begin=0, end=200, by_epoch=False)],
    }
    captured = _train(experiment, **length)
    assert captured.model.train_step.captured, captured.model.train_step.reason
    eager = _train(experiment, work_dir=str(tmp_path / 'eager'), training_step=dict(capture=False), **length)
    losses = [_log(runner).reshape(10, 20).mean(axis=1) for runner in (captured, eager)]
    # means of 20 iterations: rounding differs, and grows with the number of updates
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert losses[0].mean() == pytest.approx(losses[1].mean(), **CLOSE)


def test_captured_is_eager_in_float32(experiment, tmp_path):
    captured = _train(experiment, **EXACT)
    assert captured.model.train_step.captured
    eager = _train(
        experiment, work_dir=str(tmp_path / 'eager'), training_step=dict(dtype='float32', capture=False)
    )
    assert _log(captured)[:10] == pytest.approx(_log(eager)[:10], rel=2e-3)
    assert _log(captured).mean() == pytest.approx(_log(eager).mean(), **CLOSE)


def test_resumed_is_uninterrupted_also_on_the_cpu(experiment, tmp_path, monkeypatch):
    whole = _train(experiment, work_dir=str(tmp_path / 'whole'), **EXACT)
    _train(experiment, **EXACT | {'train_cfg.max_iters': 20})
    (tmp_path / 'cpu').mkdir()
    (tmp_path / 'cpu/iter_20.pth').write_bytes((tmp_path / 'work/iter_20.pth').read_bytes())
    resumed = _train(experiment, resume=True, **EXACT)
    assert resumed.model.train_step.captured and resumed.iter == ITERATIONS
    assert _log(resumed)[:24] == pytest.approx(_log(whole)[:24], rel=5e-3)
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    on_cpu = _train(experiment, resume=True, work_dir=str(tmp_path / 'cpu'))
    assert _log(on_cpu)[20:24] == pytest.approx(
        _log(whole)[20:24], rel=0.1
    )  # dropout draws other masks there


def _step(experiment, **options):
    runner = build_runner(experiment(**OPTIONS | options))
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    batch = next(iter(runner.train_loop.dataloader))
    backend = CudaBackend(torch.device('cuda', 0))
    return TrainingStep(
        runner.model.train(), wrapper, backend, None, logger=logging.getLogger('captured')
    ), batch


def test_each_replay_draws_new_masks(experiment):
    step, batch = _step(
        experiment, **{'optim_wrapper.optimizer.lr': 0.0, 'model.decode_head.dropout_ratio': 0.5}
    )
    for _ in range(WARM_UP_STEPS + 1):
        step(batch)
    assert step.captured
    losses = [step(batch)['loss'].item() for _ in range(6)]
    assert len(set(losses)) == 6
    seeded = []
    for _ in range(2):
        torch.cuda.manual_seed(7)
        seeded.append(step(batch)['loss'].item())
    assert seeded[0] == pytest.approx(seeded[1], rel=1e-5)


class _Waits(torch.nn.Dropout2d):
    """A layer that reads a value."""

    def forward(self, x):
        if x.mean().item() > 1e9:
            return x
        return super().forward(x)


@pytest.mark.parametrize('strict', [True, False])
def test_a_layer_that_waits_falls_back(experiment, caplog, strict):
    step, batch = _step(experiment)
    step.model.decode_head.dropout = _Waits(0.1)
    if not strict:  # the capture itself fails
        warm_up = step.backend.warm_up
        step.backend.warm_up = lambda function, strict: warm_up(function, False)
    with caplog.at_level(logging.WARNING):
        losses = [step(batch)['loss'].item() for _ in range(WARM_UP_STEPS + 4)]
    assert [record for record in caplog.records if 'runs eagerly' in record.message]
    assert not step.captured and losses[-1] < losses[0]
    torch.cuda.manual_seed(3)
    assert torch.rand(3, device='cuda').unique().numel() == 3
    # another step is captured all the same
    other, batch = _step(experiment)
    for _ in range(WARM_UP_STEPS + 2):
        loss = other(batch)['loss']
    assert other.captured and loss.isfinite()
