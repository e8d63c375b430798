"""The loss of validations, and early stopping."""

import math

import pytest
import torch

from mmseg.engine import EarlyStoppingHook, build_runner


def _weights(path):
    return torch.load(path, weights_only=True)


def test_the_validation_loss_is_that_of_the_decode_head(experiment):
    cfg = experiment(**{'train_cfg.max_iters': 1, 'train_cfg.val_interval': 1})
    runner = build_runner(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    model, losses = runner.model.eval(), []
    for batch in runner.val_dataloader:
        data = model.data_preprocessor(batch, False)
        with torch.no_grad():
            logits = model.encode_decode(data['inputs'], [sample.metainfo for sample in data['data_samples']])
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in data['data_samples']]).long()
        losses.append(torch.nn.functional.cross_entropy(logits, labels).item())
    assert metrics['val_loss'] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert len({round(loss, 4) for loss in losses}) > 1
    assert runner.message_hub.get_scalar('val/val_loss').current() == metrics['val_loss']


def test_the_validation_loss_can_be_left_out(experiment):
    cfg = experiment(**{'train_cfg.max_iters': 1, 'default_hooks.val_loss': None})
    assert 'val_loss' not in build_runner(cfg).val()


def _stopping(experiment, **options):
    cfg = experiment(**{'train_cfg.max_iters': 20, 'train_cfg.val_interval': 2} | options)
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', patience=2, min_delta=1000.0)]
    return cfg


def test_training_stops_without_improvement_and_a_resumed_run_goes_on_counting(experiment):
    runner = build_runner(_stopping(experiment))
    runner.train()
    # the first validation is the best, the next two are not better
    assert runner.iter == 6
    hub = _weights(f'{runner.work_dir}/iter_6.pth')['message_hub']['runtime_info']
    assert hub['early_stopping'][1] == 1 and math.isfinite(hub['early_stopping'][0])

    resumed = build_runner(_stopping(experiment, resume=True))
    resumed.train()
    # the validation of iteration 6 is repeated: it was stopped by it
    assert resumed.iter == 6


def test_early_stopping_names_what_is_wrong(experiment):
    with pytest.raises(ValueError, match='patience=0; expected'):
        EarlyStoppingHook(patience=0)
    cfg = experiment(**{'train_cfg.max_iters': 2, 'train_cfg.val_interval': 1})
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIou')]
    with pytest.raises(ValueError, match=r"monitor='mIou' is none of the metrics .*foreground_mIoU"):
        build_runner(cfg).train()
    for name in ('IoU.broken', 'mOPFound', 'ImageAUROC', 'AP.broken'):
        assert EarlyStoppingHook(name).rule == 'greater'
    for name in ('val_loss', 'FA.broken', 'OPFA.broken'):
        assert EarlyStoppingHook(name).rule == 'less'
