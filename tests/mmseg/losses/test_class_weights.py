import json
from math import log

import numpy as np
import pytest
import torch

from mmseg.models.losses import (
    CrossEntropyLoss,
    FocalLoss,
    enet_class_weight,
    get_class_weight,
    weight_reduce_loss,
    weighted_loss,
)


def test_enet_weights_are_bounded():
    # Counts 98, 2 and 0 of 100 pixels.
    expected = [1 / log(1.02 + 0.98), 1 / log(1.02 + 0.02), 1 / log(1.02)]
    assert enet_class_weight([98, 2, 0]) == pytest.approx(expected)
    assert enet_class_weight([0.5, 0.5], c=1.5) == pytest.approx([1 / log(2)] * 2)
    for frequencies, c in (([1, -1], 1.02), ([0, 0], 1.02), ([1, float('nan')], 1.02), ([1, 1], 1.0)):
        with pytest.raises(ValueError, match='enet_class_weight'):
            enet_class_weight(frequencies, c)


def test_weights_from_files(tmp_path):
    np.save(tmp_path / 'w.npy', np.array([1.0, 2.5]))
    (tmp_path / 'w.json').write_text(json.dumps([1, 2.5]))
    (tmp_path / 'w.yaml').write_text('- 1\n- 2.5\n')
    for name in ('w.npy', 'w.json', 'w.yaml'):
        assert get_class_weight(str(tmp_path / name)) == [1.0, 2.5]
        assert CrossEntropyLoss(class_weight=str(tmp_path / name)).class_weight == [1.0, 2.5]


def test_wrong_files_raise(tmp_path):
    (tmp_path / 'w.pkl').write_bytes(b'')
    np.save(tmp_path / 'o.npy', np.array([{}]), allow_pickle=True)
    (tmp_path / 'w.json').write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r'neither .enet. nor a \.npy'):
        get_class_weight(str(tmp_path / 'w.pkl'))
    with pytest.raises(ValueError, match='allow_pickle'):
        get_class_weight(str(tmp_path / 'o.npy'))
    with pytest.raises(ValueError, match='one number per class'):
        get_class_weight(str(tmp_path / 'w.json'))
    with pytest.raises(FileNotFoundError, match=r'none\.npy does not exist'):
        get_class_weight(str(tmp_path / 'none.npy'))
    for values in ([], [-1.0], [float('inf')]):
        with pytest.raises(ValueError, match='finite numbers >= 0'):
            get_class_weight(values)


@pytest.mark.parametrize('kind', [CrossEntropyLoss, FocalLoss])
def test_enet_without_computed_weights_raises(kind):
    loss = kind(class_weight='enet')
    pred, target = torch.randn(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long)
    with pytest.raises(ValueError, match='ClassWeightHook'):
        loss(pred, target)
    loss.class_weight = enet_class_weight([9, 1])
    torch.testing.assert_close(loss(pred, target), kind(class_weight=enet_class_weight([9, 1]))(pred, target))


def test_weights_move_with_the_model():
    loss = CrossEntropyLoss(class_weight=[1.0, 2.0]).to('meta')
    loss.class_weight = [3.0, 4.0]
    assert loss.class_weight_for(torch.empty(1, 2, 1, device='meta')).device.type == 'meta'


def test_weighted_loss_reduces():
    @weighted_loss
    def distance(pred, target, power=1):
        return (pred - target).abs() ** power

    pred, target, weight = torch.tensor([0.0, 2.0, 5.0]), torch.ones(3), torch.tensor([1.0, 0.0, 2.0])
    assert distance(pred, target).item() == pytest.approx(2.0)
    assert distance(pred, target, weight).item() == pytest.approx((1 + 0 + 8) / 3)
    assert distance(pred, target, weight, avg_factor=2, power=2).item() == pytest.approx((1 + 32) / 2)
    assert distance(pred, target, reduction='none').tolist() == [1, 1, 4]
    assert weight_reduce_loss(pred, avg_factor=0).isfinite()
