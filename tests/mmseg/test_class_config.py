"""Heads and loss follow from the classes; a head of another number of classes is named before training."""

import itertools

import numpy as np
import pytest
from mmengine.config import Config
from torch import nn

from mmseg.engine import build_runner
from mmseg.engine.hooks.head_classes import check_heads, head_class_counts
from mmseg.utils.class_config import focal_alpha, set_classes, with_classes


def test_the_published_shares_give_the_published_alpha():
    assert focal_alpha([0.9977, 0.002, 0.0003]) == [0.1, 0.3, 0.6]
    assert focal_alpha([99.77, 0.2, 0.03]) == [0.1, 0.3, 0.6]


def test_alpha_is_monotone_bounded_and_sums_to_one():
    rng = np.random.default_rng(0)
    for count in (2, 3, 5, 8):
        for _ in range(50):
            shares = 10.0 ** rng.uniform(-7, 0, count)
            alpha = focal_alpha(shares)
            order = np.argsort(-shares)
            assert all(a <= b for a, b in itertools.pairwise(np.array(alpha)[order]))
            assert abs(sum(alpha) - 1) <= 0.01 * count and min(alpha) > 0
    assert focal_alpha([1, 1, 1, 1]) == [0.25] * 4
    assert focal_alpha([0.99, 0, 1e-9])[1:] == [focal_alpha([0.99, 0, 1e-9])[1]] * 2
    for shares in ([0, 0], [1, -1]):
        with pytest.raises(ValueError, match='class shares'):
            focal_alpha(shares)


def model():
    focal = dict(type='FocalLoss', alpha=[0.1, 0.3, 0.6], loss_weight=0.4)
    return dict(
        type='EncoderDecoder',
        test_cfg=dict(mode='whole'),
        decode_head=dict(num_classes=3, loss_decode=[focal, dict(type='DiceLoss')]),
        auxiliary_head=[dict(num_classes=19, loss_decode=dict(focal)), dict(num_classes=19)],
    )


def test_every_head_and_loss_is_fitted_in_a_copy():
    original = model()
    classes, shares = ('a', 'b', 'c', 'd'), [0.9, 0.06, 0.03, 0.01]
    fitted = with_classes(
        original, classes, shares, test_cfg=dict(mode='slide', stride=(3, 3)), pretrained=None
    )
    assert original == model()
    assert fitted['_delete_'] and fitted['pretrained'] is None
    assert fitted['test_cfg'] == dict(mode='slide', stride=(3, 3))
    heads = [fitted['decode_head'], *fitted['auxiliary_head']]
    assert [head['num_classes'] for head in heads] == [4, 4, 4]
    assert fitted['decode_head']['loss_decode'][0]['alpha'] == focal_alpha(shares)
    assert fitted['auxiliary_head'][0]['loss_decode'] == dict(
        type='FocalLoss', alpha=focal_alpha(shares), loss_weight=0.4
    )


def test_alpha_of_another_length_is_named():
    with pytest.raises(ValueError, match=r'alpha=\[0.1, 0.3, 0.6\] for 2 classes'):
        set_classes(model(), ('a', 'b'))
    with pytest.raises(ValueError, match='3 class shares for 2 classes'):
        set_classes(model(), ('a', 'b'), (1, 1, 1))


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


def test_heads_are_named():
    segmentor = nn.Module()
    segmentor.decode_head = Head(5)
    segmentor.auxiliary_head = nn.ModuleList([Head(5), Head(19)])
    assert dict(head_class_counts(segmentor)) == {
        'decode_head': 5,
        'auxiliary_head[0]': 5,
        'auxiliary_head[1]': 19,
    }
    with pytest.raises(
        ValueError, match=r'5 classes .*auxiliary_head\[1\] num_classes=19; set num_classes=5'
    ):
        check_heads(segmentor, 'abcde')
    segmentor.auxiliary_head = Head(5)
    check_heads(segmentor, 'abcde')


@pytest.mark.parametrize('count', [2, 4])
def test_training_stops_before_the_first_iteration(experiment, count):
    cfg: Config = experiment(**{'model.decode_head.num_classes': count})
    with pytest.raises(ValueError, match=rf'3 classes .*decode_head num_classes={count}; set num_classes=3'):
        build_runner(cfg).train()
