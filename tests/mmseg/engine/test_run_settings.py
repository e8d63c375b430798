"""Settings without effect, or that would fail later, are refused before the first iteration."""

import pytest

from mmseg.engine import build_runner


@pytest.mark.parametrize('key', ['max_iters', 'val_interval'])
@pytest.mark.parametrize('value', [0, -1, 2.5, '10', None, True])
def test_lengths_that_are_no_positive_integer(experiment, key, value):
    with pytest.raises(ValueError, match=rf'train_cfg\.{key}={value!r}, expected an integer of at least 1'):
        build_runner(experiment(**{f'train_cfg.{key}': value}))


@pytest.mark.parametrize(
    ('save_best', 'near'),
    [('IoU.brokn', 'IoU.broken'), (['mIoU', 'mIuo'], 'mIoU'), ('mDice', 'm')],
)
def test_a_best_score_that_is_never_computed(experiment, tmp_path, save_best, near):
    runner = build_runner(
        experiment(
            **{'default_hooks.checkpoint.save_best': save_best, 'default_hooks.checkpoint.rule': 'greater'}
        )
    )
    with pytest.raises(ValueError, match='is not computed by the validation') as refusal:
        runner.train()
    assert f"did you mean '{near}" in str(refusal.value)
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize('metrics', [['mIoU'], ['mIoU', 'mDice', 'mFscore']])
def test_every_score_of_a_validation_is_announced(experiment, metrics):
    runner = build_runner(experiment(**{'val_evaluator.iou_metrics': metrics, 'val_evaluator.prefix': 'val'}))
    computed = runner.val()
    (metric,) = runner.val_loop.evaluator.metrics
    assert metric.metric_names() == [name for name in computed if name != 'val_loss']
