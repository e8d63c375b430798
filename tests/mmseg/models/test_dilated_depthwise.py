"""Dilated depthwise convolutions, computed phase by phase as on a GPU."""

import pytest
import torch
import torch.nn.functional as F

from mmseg.models.utils import dilated
from mmseg.registry import MODELS


@pytest.mark.parametrize(
    ('kernel', 'dilation', 'size'), [(3, 2, (8, 12)), (5, 4, (16, 16)), (5, 4, (13, 22)), (3, 3, (2, 7))]
)
def test_phases_are_the_dilated_convolution(kernel, dilation, size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, *size, generator=generator, requires_grad=True)
    weight = torch.randn(6, 1, kernel, kernel, generator=generator, requires_grad=True)
    bias = torch.randn(6, generator=generator, requires_grad=True)
    padding = dilation * (kernel // 2)
    expected = F.conv2d(x, weight, bias, padding=padding, dilation=dilation, groups=6)
    for one in (x, x.detach().to(memory_format=torch.channels_last).requires_grad_()):
        result = dilated.conv_of_phases(one, weight, bias, dilation)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
        outer = torch.randn(result.shape, generator=generator)
        for mine, other in zip(
            torch.autograd.grad(result, (one, weight, bias), outer),
            torch.autograd.grad(expected, (x, weight, bias), outer, retain_graph=True),
        ):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('arch', 'count'), [('small', 8), ('large', 9)])
@torch.no_grad()
def test_the_dilated_layers_of_mobilenet(monkeypatch, arch, count):
    model = MODELS.build(dict(type='mmseg.MobileNetV3', arch=arch, out_indices=(0, 12))).eval()
    image = torch.randn(1, 3, 72, 56)
    layers = [module for module in model.modules() if isinstance(module, dilated._InPhases)]
    assert len(layers) == count and all(max(layer.dilation) > 1 for layer in layers)
    assert not any(
        max(getattr(module, 'dilation', (1,))) > 1 for module in model.modules() if module not in layers
    )
    expected = model(image)
    calls = []

    def in_phases(self, x):
        calls.append(self)
        return dilated.conv_of_phases(x, self.weight, self.bias, self.dilation[0])

    monkeypatch.setattr(dilated._InPhases, 'forward', in_phases)
    for result, other in zip(model(image), expected, strict=True):
        torch.testing.assert_close(result, other, rtol=1e-3, atol=1e-4)
    assert len(calls) == count
