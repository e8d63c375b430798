import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch.nn as nn
from mmengine.dataset import ConcatDataset, RepeatDataset
from PIL import Image

from mmseg.datasets import BaseSegDataset
from mmseg.engine.hooks import ClassWeightHook
from mmseg.engine.hooks.class_weight_hook import CACHE_NAME
from mmseg.models.losses import CrossEntropyLoss, FocalLoss, enet_class_weight
from mmseg.registry import HOOKS

# 16 pixels: two ignored, nine of class 0, four of class 1, one of class 2.
LABEL = np.array([[255, 255, 0, 0], [0] * 4, [0, 0, 0, 1], [1, 1, 1, 2]], dtype=np.uint8)
WEIGHTS = enet_class_weight([9, 4, 1])


@pytest.fixture
def dataset(tmp_path):
    for folder in ('img', 'ann'):
        (tmp_path / folder).mkdir()
    for name in ('a', 'b'):
        Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / 'img' / f'{name}.png')
        Image.fromarray(LABEL).save(tmp_path / 'ann' / f'{name}.png')
    return lambda **kwargs: BaseSegDataset(
        data_root=str(tmp_path),
        data_prefix=kwargs.pop('data_prefix', dict(img_path='img', seg_map_path='ann')),
        img_suffix='.png',
        metainfo=dict(classes=kwargs.pop('classes', ('normal', 'attached', 'broken'))),
        **kwargs,
    )


def run(dataset, work_dir, *losses, **kwargs):
    runner = SimpleNamespace(
        model=nn.Sequential(nn.Conv2d(1, 1, 1), *losses),
        train_dataloader=SimpleNamespace(dataset=dataset),
        work_dir=str(work_dir),
        logger=logging.getLogger('test'),
    )
    HOOKS.build(dict(type='ClassWeightHook', **kwargs)).before_train(runner)


def test_sets_the_weights_of_losses_without_them(dataset, tmp_path):
    losses = CrossEntropyLoss(class_weight='enet'), FocalLoss(class_weight='enet'), CrossEntropyLoss()
    run(dataset(), tmp_path, *losses)
    assert losses[0].class_weight == pytest.approx(WEIGHTS)
    assert losses[1].class_weight == pytest.approx(WEIGHTS)
    assert losses[2].class_weight is None


def test_repeated_and_concatenated_datasets_have_the_same_shares(dataset, tmp_path):
    for wrapped in (RepeatDataset(dataset(), 3), ConcatDataset([dataset(), dataset()])):
        loss = CrossEntropyLoss(class_weight='enet')
        run(wrapped, tmp_path, loss, c=1.5)
        assert loss.class_weight == pytest.approx(enet_class_weight([9, 4, 1], c=1.5))


def test_labels_are_counted_as_the_pipeline_reads_them(dataset, tmp_path):
    loss = CrossEntropyLoss(class_weight='enet')
    # 0 becomes ignored, 1 and 2 become 0 and 1.
    run(dataset(reduce_zero_label=True, classes=('attached', 'broken')), tmp_path, loss)
    assert loss.class_weight == pytest.approx(enet_class_weight([4, 1]))


def test_counts_are_cached_until_a_label_changes(dataset, tmp_path):
    work_dir = tmp_path / 'work'
    run(dataset(), work_dir, CrossEntropyLoss(class_weight='enet'))
    cache = work_dir / CACHE_NAME
    stored = json.loads(cache.read_text())
    assert stored['counts'] == [18, 8, 2] and [p.name for p in work_dir.iterdir()] == [CACHE_NAME]

    cache.write_text(json.dumps(dict(stored, counts=[1, 1, 2])))
    loss = CrossEntropyLoss(class_weight='enet')
    run(dataset(), work_dir, loss)
    assert loss.class_weight == pytest.approx(enet_class_weight([1, 1, 2]))

    Image.fromarray(np.full((5, 5), 2, dtype=np.uint8)).save(tmp_path / 'ann' / 'b.png')
    run(dataset(), work_dir, CrossEntropyLoss(class_weight='enet'))
    assert json.loads(cache.read_text())['counts'] == [9, 4, 26]

    cache.write_text('{"broken')
    run(dataset(), work_dir, CrossEntropyLoss(class_weight='enet'))
    assert json.loads(cache.read_text())['counts'] == [9, 4, 26]


def test_errors_and_warnings(dataset, tmp_path):
    with pytest.warns(UserWarning, match='no loss has class_weight'):
        run(dataset(), tmp_path, CrossEntropyLoss())
    with pytest.raises(ValueError, match=r'a\.png has no label map'):
        run(dataset(data_prefix=dict(img_path='img')), tmp_path, CrossEntropyLoss(class_weight='enet'))
    with pytest.raises(ValueError, match=r'a\.png holds the labels \[2\], expected ids below 2'):
        run(dataset(classes=('normal', 'attached')), tmp_path, CrossEntropyLoss(class_weight='enet'))
    with pytest.raises(ValueError, match='c must be above 1'):
        ClassWeightHook(c=1)
    Image.fromarray(np.full((4, 4), 255, dtype=np.uint8)).save(tmp_path / 'ann' / 'a.png')
    Image.fromarray(np.full((4, 4), 255, dtype=np.uint8)).save(tmp_path / 'ann' / 'b.png')
    with pytest.raises(ValueError, match=r'has an id in 0\.\.2'):
        run(dataset(), tmp_path, CrossEntropyLoss(class_weight='enet'))
