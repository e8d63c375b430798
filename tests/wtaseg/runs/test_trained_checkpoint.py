"""The checkpoint that stands for the folder of a training."""

import os

import pytest

from wtaseg.runs.checkpoints import trained_checkpoint


def test_the_best_checkpoint_comes_before_those_on_schedule(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        trained_checkpoint(tmp_path)
    for age, name in enumerate(['iter_9.pth', 'iter_10.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    assert trained_checkpoint(tmp_path).name == 'iter_10.pth'
    (tmp_path / 'ckpt').mkdir()
    (tmp_path / 'ckpt/best_foreground_mIoU_iter_9.pth').touch()
    assert trained_checkpoint(tmp_path).name == 'best_foreground_mIoU_iter_9.pth'
