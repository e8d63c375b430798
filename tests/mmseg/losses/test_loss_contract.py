"""What holds for every loss: one class that each joins by a line in ``LOSSES``."""

import pytest
import torch

from mmseg.registry import MODELS

ALPHA = [0.1, 0.3, 0.6]
LOSSES = [
    dict(type='CrossEntropyLoss'),
    dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]),
    dict(type='CrossEntropyLoss', avg_non_ignore=True),
    dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True, class_weight=[1.0, 2.0, 3.0]),
    dict(type='FocalLoss', use_sigmoid=False, alpha=ALPHA),
    dict(type='FocalLoss', use_sigmoid=False, gamma=0.5, class_weight=[1.0, 2.0, 3.0]),
    dict(type='FocalLoss', alpha=ALPHA, class_weight=[1.0, 2.0, 3.0]),
    dict(type='FocalLoss', gamma=0.5),
    dict(type='DiceLoss', use_sigmoid=False),
    dict(type='DiceLoss', naive_dice=True),
    dict(type='TverskyLoss', class_weight=[1.0, 2.0, 3.0]),
    dict(type='FocalTverskyLoss'),
    dict(type='UnifiedFocalLoss'),
    dict(type='UnifiedFocalLoss', asymmetric=False),
    dict(type='LovaszLoss', reduction='none', class_weight=[1.0, 2.0, 3.0]),
    dict(type='LovaszLoss', per_image=True, classes=[1, 2]),
    dict(type='OhemCrossEntropy', min_kept=10, class_weight=[1.0, 2.0, 3.0]),
]
# Dice is left out of some cases: predictions of ignored pixels count in its denominator, as in mmsegmentation.
WITH_MASK = [cfg for cfg in LOSSES if cfg['type'] != 'DiceLoss']
# Which pixels OHEM takes is a step function of the logits.
SMOOTH = [cfg for cfg in LOSSES if cfg['type'] != 'OhemCrossEntropy']


def over(cfgs):
    return pytest.mark.parametrize('cfg', cfgs, ids=lambda cfg: '-'.join(map(str, cfg.values())))


each_loss = over(LOSSES)


@pytest.fixture
def case():
    gen = torch.Generator().manual_seed(0)
    target = torch.randint(0, 3, (2, 7, 9), generator=gen)
    target[torch.rand(2, 7, 9, generator=gen) < 0.3] = 255
    return torch.randn(2, 3, 7, 9, generator=gen) * 3, target


def gradient(loss, pred, target):
    pred = pred.clone().requires_grad_()
    value = loss(pred, target, ignore_index=255)
    value.backward()
    return value.detach(), pred.grad


@each_loss
def test_is_a_float32_scalar_under_autocast(cfg, case):
    loss = MODELS.build(cfg)
    half = case[0].bfloat16()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        value = loss(half, case[1], ignore_index=255)
    assert value.dtype == torch.float32 and value.shape == ()
    # The same numbers outside autocast: nothing inside was rounded to bfloat16.
    assert value.item() == pytest.approx(loss(half.float(), case[1], ignore_index=255).item(), rel=1e-6)


@each_loss
def test_half_gives_a_finite_loss_and_gradient_for_logits_beyond_its_range_of_exp(cfg, case):
    loss = MODELS.build(cfg)
    pred = (case[0] * 100).half().requires_grad_()
    value = loss(pred, case[1], ignore_index=255)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()


@each_loss
@pytest.mark.parametrize('sign', [-1, 1])
def test_saturated_logits_give_finite_gradients(cfg, sign, case):
    # sign 1: every pixel is right with p = 1 exactly; sign -1: every pixel is wrong with p = 0.
    right = torch.nn.functional.one_hot(case[1].clamp(max=2), 3).permute(0, 3, 1, 2)
    value, grad = gradient(MODELS.build(cfg), sign * 100.0 * (2 * right - 1), case[1])
    assert torch.isfinite(value) and torch.isfinite(grad).all()


@over(WITH_MASK)
def test_ignored_pixels_have_exactly_no_gradient(cfg, case):
    pred, target = case
    pred = torch.where((target == 255).unsqueeze(1), pred * 1e30, pred)
    value, grad = gradient(MODELS.build(cfg), pred, target)
    assert torch.isfinite(value)
    per_pixel = grad.abs().sum(1)
    assert (per_pixel[target == 255] == 0).all()
    assert torch.isfinite(per_pixel).all() and per_pixel.sum() > 0


@over(WITH_MASK)
def test_only_ignored_pixels_give_zero_with_a_graph(cfg, case):
    value, grad = gradient(MODELS.build(cfg), case[0], torch.full_like(case[1], 255))
    # Exponents below 1 are bounded off zero, by 1.2e-7^0.75 and 1.2e-7^0.5.
    bound = {'FocalTverskyLoss': 7e-6, 'UnifiedFocalLoss': 4e-4}.get(cfg['type'], 0)
    assert 0 <= value.item() <= bound
    assert (grad == 0).all()


@each_loss
def test_is_one_graph_for_the_compiler(cfg, case):
    # fullgraph refuses what leaves the tensors: .item(), shapes that depend on values, walks in Python.
    loss = MODELS.build(cfg)
    torch._dynamo.reset()
    compiled = torch.compile(lambda p, t: loss(p, t, ignore_index=255), backend='eager', fullgraph=True)
    assert torch.equal(compiled(*case), loss(*case, ignore_index=255))


@each_loss
def test_has_no_state_and_a_name_in_the_log(cfg):
    loss = MODELS.build(dict(cfg, loss_name='loss_mine'))
    assert not loss.state_dict() and loss.loss_name == 'loss_mine'


@each_loss
def test_scales_with_its_weight(cfg, case):
    value, _ = gradient(MODELS.build(cfg), *case)
    scaled, _ = gradient(MODELS.build(dict(cfg, loss_weight=3.0)), *case)
    assert scaled.item() == pytest.approx(3 * value.item(), rel=1e-6)


@over(SMOOTH)
def test_gradient_matches_differences_in_float64(cfg, case):
    loss = MODELS.build(cfg)
    pred = case[0][:, :, :2, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, case[1][:, :2, :3], ignore_index=255), pred)
