"""Bilinear resizing: values and gradients of PyTorch's, by matrix products."""

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.utils.wrappers import MATRIX_SIDE, BilinearResize, resize


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    'sides, size', [((8, 6), (64, 48)), ((5, 7), (13, 4)), ((1, 3), (9, 9)), ((16, 2), (16, 5))]
)
def test_values_and_gradients_are_those_of_interpolate(sides, size, align_corners):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *sides, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = F.interpolate(x, size, mode='bilinear', align_corners=align_corners)
    got = resize(x, size, mode='bilinear', align_corners=align_corners, warning=False)
    assert 'BilinearResize' in type(got.grad_fn).__name__
    assert torch.equal(got, expected)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, grad)[0] for y in (got, expected)))


def test_second_derivative():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: BilinearResize.apply(x, (6, 5), False), x)


def test_half_precision_gradients_are_summed_in_float32():
    x = torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    resize(x, (128, 128), mode='bilinear').sum().backward()
    assert x.grad.dtype == torch.bfloat16
    assert torch.equal(x.grad, torch.full_like(x, 4096))  # in bfloat16 itself a sum of ones ends at 256


@pytest.mark.parametrize(
    'x, options',
    [
        (torch.ones(1, 1, 4, 4), {'size': (8, 8), 'mode': 'bilinear'}),
        (torch.ones(1, 1, 4, 4, requires_grad=True), {'size': (8, 8), 'mode': 'nearest'}),
        (torch.ones(1, 1, 4, 4, requires_grad=True), {'scale_factor': 2.0, 'mode': 'bilinear'}),
        (torch.ones(1, 1, 4, MATRIX_SIDE + 1, requires_grad=True), {'size': (8, 9), 'mode': 'bilinear'}),
    ],
    ids=['no gradient', 'another mode', 'a factor', 'a large input'],
)
def test_other_arguments_use_interpolate(x, options):
    y = resize(x, **options)
    assert torch.equal(y, F.interpolate(x, **options))
    assert y.grad_fn is None or 'BilinearResize' not in type(y.grad_fn).__name__
