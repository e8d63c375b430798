from math import log

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.losses import FocalLoss

# One image of three pixels, logits (0, ln 3) each: softmax (1/4, 3/4), sigmoid (1/2, 3/4).
LOGITS = torch.tensor([0.0, log(3)]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
LABEL = torch.tensor([[[0, 1, 255]]])


def loss(*args, **kwargs):
    return FocalLoss(**kwargs)(LOGITS, LABEL, *args).item()


class TestSoftmaxForm:
    def test_by_hand(self):
        # Pixel 0: α (3/4)² ln 4; pixel 1: α (1/4)² ln(4/3); the mean is over two pixels, not three.
        expected = (0.1 * 9 / 16 * log(4) + 0.6 * 1 / 16 * log(4 / 3)) / 2
        assert loss(use_sigmoid=False, alpha=[0.1, 0.6]) == pytest.approx(expected)
        expected = 0.25 * ((3 / 4) ** 0.5 * log(4) + (1 / 4) ** 0.5 * log(4 / 3)) / 2
        assert loss(use_sigmoid=False, gamma=0.5, alpha=0.25) == pytest.approx(expected)

    def test_class_and_pixel_weights_leave_the_divisor(self):
        focal = (0.5 * 9 / 16 * log(4), 0.5 * 1 / 16 * log(4 / 3))
        value = loss(use_sigmoid=False, class_weight=[2.0, 3.0])
        assert value == pytest.approx((2 * focal[0] + 3 * focal[1]) / 2)
        weight = torch.tensor([[[5.0, 0.0, 9.0]]])
        assert loss(weight, use_sigmoid=False) == pytest.approx(5 * focal[0] / 2)
        assert loss(weight, 4, use_sigmoid=False) == pytest.approx(5 * focal[0] / 4, rel=1e-6)

    def test_reduction_none_gives_one_value_per_pixel(self):
        each = FocalLoss(use_sigmoid=False, alpha=1.0, reduction='none')(LOGITS, LABEL)
        torch.testing.assert_close(
            each, torch.tensor([[[9 / 16 * log(4), 1 / 16 * log(4 / 3), 0.0]]]), rtol=1e-6, atol=0
        )

    def test_gamma_zero_is_cross_entropy(self):
        gen = torch.Generator().manual_seed(0)
        pred, target = torch.randn(2, 4, 5, 6, generator=gen), torch.randint(0, 4, (2, 5, 6), generator=gen)
        value = FocalLoss(use_sigmoid=False, gamma=0, alpha=1.0)(pred, target)
        torch.testing.assert_close(value, F.cross_entropy(pred, target))

    @pytest.mark.parametrize('gamma', [0, 0.01, 0.5, 1, 2, 5])
    def test_certain_pixels_have_no_gradient_for_small_gamma(self, gamma):
        pred = torch.tensor([100.0, -100.0]).view(1, 2, 1, 1).requires_grad_()
        FocalLoss(use_sigmoid=False, gamma=gamma)(pred, torch.zeros(1, 1, 1, dtype=torch.long)).backward()
        assert (pred.grad == 0).all()

    def test_is_exact_close_to_probability_one(self):
        # 1−p = 1e-6 has one digit left in float32 if it is computed as 1 − 0.999999.
        pred = torch.tensor([14.0, 0.0]).view(1, 2, 1, 1)
        label = torch.zeros(1, 1, 1, dtype=torch.long)
        focal = FocalLoss(use_sigmoid=False, gamma=1.0, alpha=1.0)
        assert focal(pred, label).item() == pytest.approx(focal(pred.double(), label).item(), rel=0.1)
        assert focal(pred.double(), label).item() == pytest.approx(8.3153e-7**2, rel=1e-3)

    def test_any_number_of_dimensions(self):
        flat = FocalLoss(use_sigmoid=False)(LOGITS.flatten(2), LABEL.flatten(1))
        rows = FocalLoss(use_sigmoid=False)(LOGITS[0, :, 0].T, LABEL.flatten())
        assert flat.item() == rows.item() == loss(use_sigmoid=False)


class TestSigmoidForm:
    # Label 0: class 0 is positive with p=1/2, class 1 negative with p=3/4. Label 1: the other way round.
    POSITIVE = (1 / 4 * log(2), 1 / 16 * log(4 / 3))
    NEGATIVE = (1 / 4 * log(2), 9 / 16 * log(4))

    def test_by_hand(self):
        # The mean is over two classes of two pixels; alpha weighs the positive, 1−alpha the negative.
        expected = 0.25 * sum(self.POSITIVE) + 0.75 * sum(self.NEGATIVE)
        assert loss(alpha=0.25) == pytest.approx(expected / 4)
        expected = 0.1 * self.POSITIVE[0] + 0.9 * self.NEGATIVE[0]
        expected += 0.6 * self.POSITIVE[1] + 0.4 * self.NEGATIVE[1]
        assert loss(alpha=[0.1, 0.6]) == pytest.approx(expected / 4)

    def test_class_weight_is_a_factor_of_the_channel(self):
        expected = 2 * (self.POSITIVE[0] + self.NEGATIVE[0]) + 3 * (self.POSITIVE[1] + self.NEGATIVE[1])
        assert loss(class_weight=[2.0, 3.0]) == pytest.approx(0.5 * expected / 4)

    def test_reduction_none_gives_one_value_per_class(self):
        each = FocalLoss(reduction='none')(LOGITS, LABEL)
        assert each.shape == LOGITS.shape
        assert each[0, :, 0, 0].tolist() == pytest.approx([0.5 * self.POSITIVE[0], 0.5 * self.NEGATIVE[1]])
        assert (each[..., 2] == 0).all()

    def test_pixel_weights(self):
        expected = 0.5 * 3 * (self.POSITIVE[0] + self.NEGATIVE[1]) / 4
        assert loss(torch.tensor([[[3.0, 0.0, 1.0]]])) == pytest.approx(expected)

    def test_masks_are_the_same_as_ids(self):
        masks = F.one_hot(LABEL[..., :2], 2).permute(0, 3, 1, 2)
        assert FocalLoss()(LOGITS[..., :2], masks).item() == pytest.approx(loss())

    def test_one_channel_is_the_class_of_label_one(self):
        value = FocalLoss(alpha=0.25)(LOGITS[:, 1:], LABEL)
        expected = (0.75 * self.NEGATIVE[1] + 0.25 * self.POSITIVE[1]) / 2
        assert value.item() == pytest.approx(expected)


def test_errors_name_what_is_wrong():
    for gamma in (-1, float('nan'), '2', None):
        with pytest.raises(ValueError, match='gamma must be a finite number >= 0'):
            FocalLoss(gamma=gamma)
    for alpha in (-0.1, [0.5, -1], 'x', [], None):
        with pytest.raises(ValueError, match='alpha'):
            FocalLoss(use_sigmoid=False, alpha=alpha)
    with pytest.raises(ValueError, match=r'in \[0, 1\]'):
        FocalLoss(alpha=2.0)
    for use_sigmoid in (True, False):
        with pytest.raises(ValueError, match='alpha has 3 values, the prediction has 2 classes'):
            loss(use_sigmoid=use_sigmoid, alpha=[0.1, 0.3, 0.6])
    with pytest.raises(ValueError, match=r'give ids of shape \(1, 1, 3\)'):
        FocalLoss(use_sigmoid=False)(LOGITS, LOGITS)
    with pytest.raises(ValueError, match='do not fit'):
        FocalLoss()(LOGITS, LABEL[..., :2])
