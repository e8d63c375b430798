"""Dice, Tversky, Lovász and unified focal loss, by hand."""

from math import log

import pytest
import torch

from mmseg.models.losses import DiceLoss, FocalTverskyLoss, LovaszLoss, TverskyLoss, UnifiedFocalLoss
from mmseg.models.losses.lovasz_loss import lovasz_grad

# Two pixels of two classes: pixel 0 is of class 1 with p_1 = 3/4, pixel 1 of class 0 with p_0 = 1/2.
LOGITS = torch.tensor([[[[0.0, 0.0]], [[log(3), 0.0]]]])
LABEL = torch.tensor([[[1, 0]]])
# Class 0: TP 1/2, FP 1/4, FN 1/2. Class 1: TP 3/4, FP 1/2, FN 1/4.
DISTANCE = [
    (0.3 * 0.25 + 0.7 * 0.5) / (0.5 + 0.3 * 0.25 + 0.7 * 0.5 + 1),
    (0.3 * 0.5 + 0.7 * 0.25) / (0.75 + 0.3 * 0.5 + 0.7 * 0.25 + 1),
]


def test_dice_by_hand():
    pred, target = torch.tensor([[[[0.8, 0.4]]]]), torch.tensor([[[[1, 0]]]])
    kwargs = dict(activate=False, eps=0.01)
    assert DiceLoss(**kwargs)(pred, target).item() == pytest.approx(1 - 1.6 / (0.64 + 0.16 + 1 + 0.02))
    naive = DiceLoss(**kwargs, naive_dice=True)(pred, target).item()
    assert naive == pytest.approx(1 - (1.6 + 0.01) / (1.2 + 1 + 0.01))
    # A weight per pixel leaves the second one out of every sum.
    weighted = DiceLoss(**kwargs)(pred, target, weight=torch.tensor([[[1.0, 0.0]]])).item()
    assert weighted == pytest.approx(1 - 1.6 / (0.64 + 1 + 0.02))


def test_dice_leaves_out_the_ignored_class():
    both, one = DiceLoss(use_sigmoid=False)(LOGITS, LABEL), DiceLoss(use_sigmoid=False, ignore_index=0)
    # Class 1 alone: overlap 3/4, squares 9/16 + 1/4 and 1.
    assert one(LOGITS, LABEL).item() == pytest.approx(1 - 1.5 / (9 / 16 + 1 / 4 + 1 + 2e-3))
    assert both.item() != one(LOGITS, LABEL).item()
    with pytest.raises(ValueError, match='leaves no class'):
        one(LOGITS[:, :1], LABEL)


def test_tversky_by_hand():
    assert TverskyLoss()(LOGITS, LABEL).item() == pytest.approx(sum(DISTANCE) / 2)
    weighted = TverskyLoss(class_weight=[2.0, 5.0])(LOGITS, LABEL).item()
    assert weighted == pytest.approx((2 * DISTANCE[0] + 5 * DISTANCE[1]) / 2)
    with pytest.raises(ValueError, match='must sum to 1'):
        TverskyLoss(alpha=0.5, beta=0.7)


def test_tversky_ignores_pixels():
    # Pixel 1 out: class 0 has FP 1/4 alone, class 1 TP 3/4 and FN 1/4.
    expected = (0.075 / 1.075 + 0.175 / (0.75 + 0.175 + 1)) / 2
    assert TverskyLoss()(LOGITS, torch.tensor([[[1, 255]]])).item() == pytest.approx(expected)
    assert TverskyLoss()(LOGITS, LABEL, weight=torch.tensor([[[1.0, 0.0]]])).item() == pytest.approx(expected)


def test_focal_tversky_by_hand():
    expected = (DISTANCE[0] ** 0.75 + DISTANCE[1] ** 0.75) / 2
    assert FocalTverskyLoss()(LOGITS, LABEL).item() == pytest.approx(expected)
    assert FocalTverskyLoss(gamma=1)(LOGITS, LABEL).item() == pytest.approx(sum(DISTANCE) / 2)
    with pytest.raises(ValueError, match='gamma must be above 0'):
        FocalTverskyLoss(gamma=0)


def test_unified_focal_by_hand():
    # δ = 0.6 on false negatives, γ = 0.5, so both exponents are 1/2; class 1 is rare.
    def distance(tp, fp, fn):
        return (0.4 * fp + 0.6 * fn) / (tp + 0.4 * fp + 0.6 * fn + 1)

    d = distance(0.5, 0.25, 0.5), distance(0.75, 0.5, 0.25)
    common, rare = 0.4 * 0.5**0.5 * log(2), 0.6 * log(4 / 3)
    asymmetric = 0.5 * (common + rare) / 2 + 0.5 * (d[0] + d[1] ** 0.5) / 2
    assert UnifiedFocalLoss()(LOGITS, LABEL).item() == pytest.approx(asymmetric)
    symmetric = 0.5 * (common + 0.25**0.5 * rare) / 2 + 0.5 * (d[0] ** 0.5 + d[1] ** 0.5) / 2
    assert UnifiedFocalLoss(asymmetric=False)(LOGITS, LABEL).item() == pytest.approx(symmetric)
    focal_only = UnifiedFocalLoss(weight=1, gamma=0.2)(LOGITS, LABEL).item()
    assert focal_only == pytest.approx((0.4 * 0.5**0.2 * log(2) + rare) / 2)
    for wrong in (dict(weight=2), dict(delta=0), dict(gamma=1)):
        with pytest.raises(ValueError, match=f'{next(iter(wrong))} must be in'):
            UnifiedFocalLoss(**wrong)


def test_lovasz_grad_is_the_difference_of_the_jaccard_loss():
    # Order (not, of): union 2, intersection 1 then 0, so J = 1/2 then 1.
    assert lovasz_grad(torch.tensor([0, 1])).tolist() == [0.5, 0.5]
    assert lovasz_grad(torch.tensor([1, 0])).tolist() == [1.0, 0.0]
    assert lovasz_grad(torch.tensor([0, 0, 0])).tolist() == [1.0, 0.0, 0.0]
    gt = (torch.rand(1000, generator=torch.Generator().manual_seed(0)) < 0.1).double()
    union = gt.sum() + (1 - gt).cumsum(0)
    jaccard = 1 - (gt.sum() - gt.cumsum(0)) / union
    torch.testing.assert_close(lovasz_grad(gt), jaccard.diff(prepend=jaccard.new_zeros(1)))


def test_lovasz_softmax_by_hand():
    # Class 1, errors: 1/4 of the class, 1/2 not: order (not, of), 1/2·1/2 + 1/2·1/4.
    # Class 0, errors: 1/2 of the class, 1/4 not: order (of, not), 1·1/2 + 0·1/4.
    assert LovaszLoss(reduction='none')(LOGITS, LABEL).item() == pytest.approx((0.375 + 0.5) / 2)
    only = LovaszLoss(reduction='none', classes=[1], class_weight=[9.0, 2.0])
    assert only(LOGITS, LABEL).item() == pytest.approx(2 * 0.375)


def test_lovasz_ignored_pixels_have_no_effect():
    gen = torch.Generator().manual_seed(0)
    pred, target = torch.randn(3, 4, 5, 6, generator=gen), torch.randint(0, 4, (3, 5, 6), generator=gen)
    target[:, :, 4:] = 255
    for kwargs in (dict(reduction='none'), dict(per_image=True), dict(per_image=True, classes='all')):
        cut = LovaszLoss(**kwargs)(pred[..., :4], target[..., :4])
        torch.testing.assert_close(LovaszLoss(**kwargs)(pred, target), cut)
    weight = (target != 255).float()
    target[:, :, 4:] = 1
    torch.testing.assert_close(
        LovaszLoss(per_image=True)(pred, target, weight),
        LovaszLoss(per_image=True)(pred[..., :4], target[..., :4]),
    )


def test_lovasz_hinge_by_hand():
    # Logits 2 (right) and 1/2 (wrong): errors 1−2 and 1+1/2; order (not, of), gradient (1/2, 1/2).
    logits, label = torch.tensor([[[[2.0, 0.5, 9.0]]]]), torch.tensor([[[1, 0, 255]]])
    assert LovaszLoss('binary', reduction='none')(logits, label).item() == pytest.approx(0.5 * 1.5)


def test_lovasz_arguments():
    for wrong, message in (
        (dict(loss_type='multi'), 'loss_type'),
        (dict(classes='some', per_image=True), 'classes'),
        (dict(classes=['a'], per_image=True), 'classes'),
        (dict(reduction='mean'), 'when per_image is False'),
    ):
        with pytest.raises(ValueError, match=message):
            LovaszLoss(**wrong)
