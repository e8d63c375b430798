"""``wta-seg new --normal-images``: images without defects, which need no labels."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmseg.registry import DATASETS
from wtaseg.cli import main

CLASSES = ('normal', 'scratch')


@pytest.fixture
def files(tmp_path):
    """Eight images with masks of ids, and six images without."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'masks', 'good'):
        (tmp_path / folder).mkdir()
    for number in range(14):
        image = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / ('images' if number < 8 else 'good') / f'{number}.png'), image)
        if number < 8:
            label = np.zeros((48, 64), np.uint8)
            label[4 : 8 + number, 5:15] = 1
            cv2.imwrite(str(tmp_path / 'masks' / f'{number}.png'), label)
    return tmp_path


def _new(files, *options, name='parts'):
    argv = [
        'new',
        files / name,
        '--images',
        files / 'images',
        '--labels',
        files / 'masks',
        '--classes',
        *CLASSES,
    ]
    return main([*map(str, argv), '--configs', str(files / 'configs'), *map(str, options)])


def test_they_are_trained_on_and_counted(files, capsys):
    assert _new(files, '--normal-images', files / 'good', '--normal-share', '0.2', '--split', '50/25/25') == 0
    printed = capsys.readouterr().out
    assert 'normal    6 images without labels, at most 20% of the training images' in printed
    assert 'files written' in printed and 'Nothing is wrong.' in printed
    assert sorted(path.name for path in (files / 'parts/normal_dir').iterdir()) == [
        f'{n}.png' for n in (10, 11, 12, 13, 8, 9)
    ]
    cfg = Config.fromfile(files / 'configs/_base_/datasets/parts.py')
    loader = cfg.train_dataloader.dataset
    assert loader.max_normal_share == 0.2 and loader.data_prefix.normal_path == 'normal_dir'
    assert 'normal_path' not in cfg.val_dataloader.dataset.data_prefix
    loader.data_root = str(files / 'parts')
    dataset = DATASETS.build(loader)
    assert len(dataset) == 4 + 1
    counts = dataset.class_counts().sum(0)
    assert cfg.class_shares == pytest.approx(counts / counts.sum(), rel=5e-3)
    # again: nothing to do; another share is another dataset
    options = ['--normal-images', files / 'good', '--split', '50/25/25']
    assert _new(files, *options, '--normal-share', '0.2') == 0
    assert '0 files written, 22 were there' in capsys.readouterr().out
    assert _new(files, *options) == 1
    assert 'normal_share=0.2, now normal_share=0.5' in capsys.readouterr().err


def test_another_split_keeps_them(files, capsys):
    assert _new(files, '--normal-images', files / 'good') == 0
    assert main(['split', str(files / 'parts'), '--out', str(files / 'again'), '--split', '50/25/25']) == 0
    assert len(list((files / 'again/normal_dir').iterdir())) == 6
    assert len(json.loads((files / 'again/dataset.json').read_text())['splits']) == 8
    assert main(['split', str(files / 'again'), '--folds', '2']) == 0


def test_wrong_shares_and_folders_are_refused(files, capsys):
    assert _new(files, '--normal-images', files / 'absent') == 1
    assert '--normal-images' in capsys.readouterr().err
    assert _new(files, '--normal-images', files / 'good', '--normal-share', '1') == 1
    assert '--normal-share: 1.0; expected a share' in capsys.readouterr().err
    assert not (files / 'parts').exists()
