from math import log

import pytest
import torch

from mmseg.models.losses import CrossEntropyLoss, binary_cross_entropy, mask_cross_entropy

# One image of three pixels, logits (0, ln 3) each: softmax (1/4, 3/4), sigmoid (1/2, 3/4).
LOGITS = torch.tensor([0.0, log(3)]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
LABEL = torch.tensor([[[0, 1, 255]]])
CE_0, CE_1 = log(4), log(4 / 3)


def loss(*args, **kwargs):
    return CrossEntropyLoss(**kwargs)(LOGITS, LABEL, *args, ignore_index=255).item()


def test_divides_by_all_or_by_counted_pixels():
    assert loss() == pytest.approx((CE_0 + CE_1) / 3)
    assert loss(avg_non_ignore=True) == pytest.approx((CE_0 + CE_1) / 2)


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_class_weights_with_ignored_pixels(avg_non_ignore):
    # The weighted mean: weights 2 and 3, the ignored pixel has none.
    expected = (2 * CE_0 + 3 * CE_1) / (2 + 3)
    assert loss(class_weight=[2.0, 3.0], avg_non_ignore=avg_non_ignore) == pytest.approx(expected)
    torch_mean = torch.nn.functional.cross_entropy(LOGITS, LABEL, torch.tensor([2.0, 3.0]), ignore_index=255)
    assert loss(class_weight=[2.0, 3.0], avg_non_ignore=avg_non_ignore) == pytest.approx(torch_mean.item())


def test_an_ignored_class_counts_in_the_divisor_without_avg_non_ignore():
    # Class 0 is ignored: 3·CE_1 of pixel 1 remains; the divisor counts class 0's weight, 2, as 1.2.2 does.
    label = torch.tensor([[[0, 1, 1]]])
    for avg_non_ignore, divisor in ((False, 2 + 3 + 3), (True, 3 + 3)):
        value = CrossEntropyLoss(class_weight=[2.0, 3.0], avg_non_ignore=avg_non_ignore)(
            LOGITS, label, ignore_index=0
        )
        assert value.item() == pytest.approx(2 * 3 * CE_1 / divisor)


def test_pixel_weights_and_avg_factor():
    weight = torch.tensor([[[0.5, 2.0, 7.0]]])
    assert loss(weight) == pytest.approx((0.5 * CE_0 + 2 * CE_1) / 3)
    assert loss(weight, 10) == pytest.approx((0.5 * CE_0 + 2 * CE_1) / 10, rel=1e-6)
    assert loss(None, None, 'sum') == pytest.approx(CE_0 + CE_1)


def test_sigmoid_form_weighs_the_positive_pixels_of_a_class():
    # Label 0: class 0 positive ln 2, class 1 negative −ln(1/4); label 1: ln 2 and w·ln(4/3); third ignored.
    expected = (5 * log(2) + log(4)) + (log(2) + 7 * log(4 / 3))
    kwargs = dict(use_sigmoid=True, class_weight=[5.0, 7.0])
    assert loss(**kwargs) == pytest.approx(expected / 6)
    assert loss(**kwargs, avg_non_ignore=True) == pytest.approx(expected / 4)


def test_one_channel_takes_labels_of_zero_and_one():
    value = binary_cross_entropy(LOGITS[:, 1:], LABEL, ignore_index=255, avg_non_ignore=True)
    assert value.item() == pytest.approx((log(4) + log(4 / 3)) / 2)


def test_mask_form_takes_the_channel_of_each_sample():
    pred = torch.stack([torch.zeros(2, 1, 1), torch.full((2, 1, 1), log(3))], dim=1)[:, :, 0]
    target = torch.tensor([[1.0], [0.0]])
    value = mask_cross_entropy(pred, target, torch.tensor([1, 1]))
    assert value.shape == (1,) and value.item() == pytest.approx((log(4 / 3) + log(4)) / 2)
    module = CrossEntropyLoss(use_mask=True)
    assert torch.equal(module(pred, target, torch.tensor([1, 1]), ignore_index=None), value)
    with pytest.raises(ValueError, match='ignore_index must be None'):
        module(pred, target, torch.tensor([1, 1]))


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match='exclude each other'):
        CrossEntropyLoss(use_sigmoid=True, use_mask=True)
    with pytest.raises(ValueError, match='reduction must be one of'):
        CrossEntropyLoss(reduction='average')
    with pytest.raises(ValueError, match='class_weight has 3 values, the prediction has 2 classes'):
        loss(class_weight=[1, 2, 3])
    with pytest.raises(ValueError, match=r'weight of shape \(1, 3\) does not fit'):
        loss(torch.ones(1, 3))
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        loss(None, 3, 'sum')
    with pytest.raises(ValueError, match=r'labels \(2, 1, 3\) do not fit'):
        binary_cross_entropy(LOGITS, LABEL.expand(2, 1, 3))
