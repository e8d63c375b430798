"""The LR-ASPP head convolves before it enlarges; the reference enlarges first, as the paper draws it."""

import pytest
import torch

from mmseg.models.decode_heads import LRASPPHead
from mmseg.models.utils import resize


def _head(**options):
    torch.manual_seed(0)
    head = LRASPPHead(
        in_channels=(5, 7, 24),
        in_index=(0, 1, 2),
        channels=16,
        branch_channels=(6, 10),
        input_transform='multiple_select',
        dropout_ratio=0,
        num_classes=3,
        norm_cfg=dict(type='BN'),
        **options,
    )
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def _reference(head, inputs):
    *shallow, x = inputs
    gate = resize(head.image_pool(x), x.shape[2:], mode='bilinear', align_corners=head.align_corners)
    x = head.conv_up_input(head.aspp_conv(x) * gate)
    for i in (1, 0):
        x = resize(x, shallow[i].shape[2:], mode='bilinear', align_corners=head.align_corners)
        x = head.conv_ups[i](torch.cat([x, head.convs[i](shallow[i])], dim=1))
    return head.conv_seg(x)


def _run(head, forward, dtype, training):
    head.to(dtype).train(training).zero_grad()
    generator = torch.Generator().manual_seed(1)
    sizes = ((5, 33, 47), (7, 17, 24), (24, 9, 12))
    inputs = [torch.randn(2, *size, generator=generator).to(dtype).requires_grad_() for size in sizes]
    logits = forward(inputs)
    (logits * torch.randn(logits.shape, generator=generator).to(dtype)).mean().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in head.named_parameters()}
    return logits.detach(), gradients | {f'input {i}': tensor.grad for i, tensor in enumerate(inputs)}


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize('training', [True, False])
def test_logits_and_gradients_are_those_of_the_paper(align_corners, dtype, tolerance, training):
    head = _head(align_corners=align_corners)
    state = {key: value.clone() for key, value in head.state_dict().items()}
    expected, expected_gradients = _run(head, lambda inputs: _reference(head, inputs), dtype, training)
    statistics = {key: value.clone() for key, value in head.named_buffers()}
    head.load_state_dict(state)
    logits, gradients = _run(head, head, dtype, training)
    scale = expected.std()
    assert logits.shape == (2, 3, 33, 47)
    assert (logits - expected).abs().max() <= tolerance * scale
    for name, gradient in expected_gradients.items():
        # where batch norm cancels a gradient, rounding of the others is left of it
        size = max(
            gradient.abs().max(), 1e-2 * max(other.abs().max() for other in expected_gradients.values())
        )
        assert (gradients[name] - gradient).abs().max() <= 10 * tolerance * size, name
    for name, value in head.named_buffers():
        torch.testing.assert_close(value, statistics[name], rtol=10 * tolerance, atol=tolerance)


def test_folded_norms_and_heads_without_norm_work():
    from mmcv.cnn.utils import fuse_conv_bn

    head = _head(align_corners=False).eval()
    inputs = [torch.randn(1, *size) for size in ((5, 20, 30), (7, 10, 15), (24, 5, 8))]
    with torch.no_grad():
        expected = head(inputs)
        torch.testing.assert_close(fuse_conv_bn(head)(inputs), expected, rtol=1e-4, atol=1e-4)
