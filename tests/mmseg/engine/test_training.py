"""Runs of the tiny experiment: resuming, non-finite losses, SyncBN, mixed precision, compilation."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from mmseg.engine import NonFiniteLossError, RuntimeInfoHook, SegRunner, build_runner


class _Recorder(Hook):
    """Keeps the loss of every step, and dies at one."""

    def __init__(self, die_at: int | None = None) -> None:
        self.die_at = die_at
        self.losses: dict[int, float] = {}
        self.validated: list[int] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == self.die_at:
            raise KeyboardInterrupt
        self.losses[runner.iter] = outputs['loss'].item()

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.validated.append(runner.iter)


def _run(cfg, die_at=None, runner_type=SegRunner):
    runner, recorder = runner_type.from_cfg(cfg), _Recorder(die_at)
    runner.register_hook(recorder)
    try:
        runner.train()
    except KeyboardInterrupt:
        assert runner.iter == die_at
    return recorder, runner


@pytest.mark.parametrize('workers', [0, 2])
def test_resume_gives_the_losses_of_an_uninterrupted_run(experiment, tmp_path, workers):
    options = {'train_cfg.max_iters': 6, 'train_dataloader.num_workers': workers}
    whole, _ = _run(experiment(work_dir=str(tmp_path / 'whole'), **options))
    first, _ = _run(experiment(**options), die_at=5)  # dead after the checkpoint of iteration 4
    cut = Path(experiment().work_dir, 'iter_4.pth')
    cut.write_bytes(cut.read_bytes()[:-1000])
    with pytest.warns(UserWarning, match=r'iter_4\.pth is truncated'):
        second, runner = _run(experiment(resume=True, **options))
    assert sorted(second.losses) == [2, 3, 4, 5]
    assert first.losses | second.losses == whole.losses
    history = runner.message_hub.get_scalar('train/loss')
    assert isinstance(history, HistoryBuffer)
    assert history.data[0].tolist() == pytest.approx([whole.losses[i] for i in range(6)])


def test_resume_uses_the_drawn_seed(experiment, tmp_path):
    options = {'train_cfg.max_iters': 3, 'randomness.seed': None}
    _, drawn = _run(experiment(**options), die_at=2)
    resumed, runner = _run(experiment(resume=True, **options))
    assert runner.seed == drawn.seed
    whole, _ = _run(experiment(work_dir=str(tmp_path / 'whole'), **options | {'randomness.seed': drawn.seed}))
    assert resumed.losses[2] == whole.losses[2]


def test_resume_runs_a_missed_validation(experiment):
    options = {'train_cfg.max_iters': 4, 'train_cfg.val_interval': 2}

    class _DiesInValidation(Hook):
        def before_val(self, runner) -> None:
            raise KeyboardInterrupt

    runner = build_runner(experiment(**options))
    runner.register_hook(_DiesInValidation())
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    resumed, _ = _run(experiment(resume=True, **options))
    assert resumed.validated == [2, 4]
    again, _ = _run(experiment(resume=True, **options))
    assert again.validated == [4]  # the last checkpoint, too, is older than its validation


def test_nothing_to_resume(experiment):
    recorder, _ = _run(experiment(resume=True, **{'train_cfg.max_iters': 1}))
    assert sorted(recorder.losses) == [0]


def test_checkpoint_is_plain(experiment):
    cfg = experiment(**{'default_hooks.checkpoint.save_best': 'mIoU', 'train_cfg.val_interval': 2})
    _run(cfg)
    names = {path.name for path in Path(cfg.work_dir).glob('*.pth')}
    assert {'iter_2.pth', 'iter_4.pth'} < names
    for name in names:
        with torch.serialization.safe_globals([]):
            admitted = torch.serialization.get_safe_globals()
            torch.serialization.clear_safe_globals()
            try:
                content = torch.load(Path(cfg.work_dir, name), weights_only=True)
            finally:
                torch.serialization.add_safe_globals(admitted)
        assert (
            content['message_hub']['log_scalars']['train/loss']['values'].shape[0] == content['meta']['iter']
        )


def test_a_failed_write_leaves_no_checkpoint(experiment, monkeypatch):
    cfg = experiment(**{'default_hooks.checkpoint.filename_tmpl': 'ckpt/iter_{}.pth'})

    def fail(descriptor):
        raise OSError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr('os.fsync', fail)
        with pytest.raises(OSError, match='disk full'):
            build_runner(cfg).train()
    assert list(Path(cfg.work_dir, 'ckpt').iterdir()) == []
    cfg.experiment_name += '_again'
    build_runner(cfg).train()
    assert {path.name for path in Path(cfg.work_dir, 'ckpt').iterdir()} == {'iter_2.pth', 'iter_4.pth'}


def test_works_with_the_runner_of_mmengine(experiment):
    expected, _ = _run(experiment())
    actual, runner = _run(experiment(), runner_type=Runner)
    assert type(runner.train_loop).__module__ == 'mmseg.engine.loops'
    assert actual.losses == expected.losses


def _poison(model) -> None:
    with torch.no_grad():
        model.decode_head.conv_seg.bias.fill_(math.nan)


def test_a_loss_that_is_not_finite_stops_the_run(experiment):
    cfg = experiment()

    class _Poisons(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
            if runner.iter == 1:
                _poison(runner.model)

    runner = build_runner(cfg)
    runner.register_hook(_Poisons())
    with pytest.raises(NonFiniteLossError, match=r'iteration 2: decode\.loss_ce = nan') as stop:
        runner.train()
    assert str(stop.value).count('/img_dir/train/') == 2  # the batch
    assert not list(Path(cfg.work_dir).glob('*.pth'))


def test_on_a_gpu_losses_are_read_when_the_log_is_due(experiment, monkeypatch):
    read = []
    flush = RuntimeInfoHook._flush

    def recorded(hook, runner) -> None:
        if hook._pending:
            read.append(runner.iter)
        flush(hook, runner)

    monkeypatch.setattr(RuntimeInfoHook, '_flush', recorded)
    monkeypatch.setattr(RuntimeInfoHook, '_on_cpu', staticmethod(lambda values: False))
    options = {'default_hooks.logger.interval': 3, 'default_hooks.checkpoint.interval': 5}
    recorder, runner = _run(experiment(**options | {'train_cfg.max_iters': 7}))
    # every third step, the end of the pass over eight images, before the checkpoint of step 5, the last step
    assert read == [2, 3, 4, 5, 6]
    assert runner.message_hub.get_scalar('train/loss').data[0].tolist() == list(recorder.losses.values())


def test_sync_bn_becomes_bn(experiment):
    norm = dict(_delete_=True, type='SyncBN')
    cfg = experiment(
        **{'model.backbone.norm_cfg': norm, 'model.decode_head.norm_cfg': norm, 'train_cfg.max_iters': 1}
    )
    recorder, runner = _run(cfg)
    kinds = {type(module) for module in runner.model.modules()}
    assert torch.nn.SyncBatchNorm not in kinds
    assert math.isfinite(recorder.losses[0])


def test_mixed_precision_on_the_cpu(experiment):
    seen = []

    class _Looks(Hook):
        def before_train(self, runner) -> None:
            head = runner.model.decode_head
            head.conv_seg.register_forward_hook(
                lambda layer, _, out: seen.append((layer.training, out.dtype))
            )

    options = {'optim_wrapper.type': 'AmpOptimWrapper', 'train_cfg.max_iters': 2}
    runner = build_runner(experiment(**options))
    runner.register_hook(_Looks())
    runner.train()
    assert [dtype for training, dtype in seen if training] == [torch.bfloat16] * 2
    recorder, _ = _run(experiment(resume=True, **options | {'train_cfg.max_iters': 3}))
    assert sorted(recorder.losses) == [2]
    with pytest.raises(ValueError, match='expected bfloat16'):
        build_runner(experiment(**options | {'optim_wrapper.dtype': 'float16'})).train()


def test_compiles_the_core(experiment):
    expected, _ = _run(experiment())
    cfg = experiment(compile=dict(target='loss_tensors', backend='eager', fullgraph=True))
    actual, runner = _run(cfg)
    assert runner.model.loss_tensors is not type(runner.model).loss_tensors
    assert actual.losses == pytest.approx(expected.losses, rel=1e-5)
    with pytest.raises(ValueError, match=r'compile\.target'):
        build_runner(experiment(compile=dict(target='los_tensors'))).train()


def test_runs_of_one_process_share_no_state(experiment, tmp_path):
    visualizer = dict(
        type='SegLocalVisualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')]
    )
    runners = []
    for name in ('first', 'second'):  # one config, one experiment name, within one second
        cfg = experiment(visualizer=visualizer, work_dir=str(tmp_path / name), experiment_name='same')
        runners.append(build_runner(cfg))
    first, second = runners
    assert first.visualizer is not second.visualizer
    assert first.message_hub is not second.message_hub
    first.visualizer.add_scalar('a', 1)
    second.visualizer.add_scalar('b', 2)
    for name, scalar in (('first', 'a'), ('second', 'b')):
        (log,) = (tmp_path / name).glob('*/vis_data/*.json')
        assert scalar in json.loads(log.read_text().splitlines()[0])
