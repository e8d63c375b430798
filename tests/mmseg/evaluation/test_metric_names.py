"""Old names of metrics still work in configs and logs."""

import json
from pathlib import Path

import pytest

from mmseg.engine import build_runner
from mmseg.evaluation.metric_names import current_name, rename_in_config, with_current_names


def test_names():
    assert current_name('defect_mIoU') == 'foreground_mIoU'
    assert current_name('val/defect_mAcc') == 'val/foreground_mAcc'
    assert current_name('mIoU') == 'mIoU'
    old = json.loads('{"mIoU": 50.0, "defect_mIoU": 33.2, "step": 400}')
    assert with_current_names(old) == {'mIoU': 50.0, 'foreground_mIoU': 33.2, 'step': 400}


def test_settings_of_a_config():
    hooks = dict(
        checkpoint=dict(save_best=['mIoU', 'defect_mIoU']), stop=dict(monitor='defect_mAcc'), logger=None
    )
    with pytest.warns(UserWarning, match='change it in the config'):
        rename_in_config(hooks)
    assert hooks['checkpoint']['save_best'] == ['mIoU', 'foreground_mIoU']
    assert hooks['stop']['monitor'] == 'foreground_mAcc'


def test_the_best_checkpoint_by_an_old_name(experiment):
    options = {'default_hooks.checkpoint.save_best': 'defect_mIoU', 'train_cfg.val_interval': 2}
    with pytest.warns(UserWarning, match="save_best='defect_mIoU' is now 'foreground_mIoU'"):
        runner = build_runner(experiment(**options))
    runner.train()
    assert list(Path(runner.work_dir).glob('best_foreground_mIoU_iter_*.pth'))
    assert runner.cfg.default_hooks.checkpoint.save_best == 'foreground_mIoU'
