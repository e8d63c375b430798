"""What a ResNet's options do."""

import copy

import pytest
import torch
from torch import nn

from mmseg.models import ResLayer, ResNet, ResNetV1c, ResNetV1d
from mmseg.models.backbones.resnet import BasicBlock

SMALL = dict(base_channels=4, stem_channels=8)


def image(height=33, width=47, channels=3):
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('kind', [ResNet, ResNetV1c, ResNetV1d])
@pytest.mark.parametrize(('depth', 'expansion'), [(18, 1), (50, 4)])
def test_feature_maps_shrink_by_the_strides_rounded_up(kind, depth, expansion):
    model = kind(depth=depth, strides=[1, 2, 2, 1], dilations=[1, 1, 1, 2], **SMALL)
    shapes = [tuple(feature.shape) for feature in model(image())]
    # 33 x 47 halves to 17 x 24, 9 x 12, 5 x 6 and 3 x 3
    sizes = [(9, 12), (5, 6), (3, 3), (3, 3)]
    assert shapes == [(2, 4 * 2**i * expansion, *size) for i, size in enumerate(sizes)]


def test_out_indices_and_fewer_stages():
    model = ResNet(18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=[0, 2], **SMALL)
    assert [feature.shape[1] for feature in model(image())] == [4, 16]
    assert not hasattr(model, 'layer4')


def test_frozen_stages_update_neither_weights_nor_statistics():
    model = ResNetV1c(depth=18, frozen_stages=1, **SMALL)
    model.train()
    before = copy.deepcopy(model.state_dict())
    sum(feature.sum() for feature in model(image())).backward()
    for name, parameter in model.named_parameters():
        frozen = name.startswith(('stem', 'layer1'))
        assert parameter.requires_grad is not frozen and (parameter.grad is None) is frozen, name
    after = model.state_dict()
    changed = {key.partition('.')[0] for key in after if not torch.equal(before[key], after[key])}
    assert changed == {'layer2', 'layer3', 'layer4'}  # running statistics


def test_norm_eval_keeps_running_statistics_but_trains_weights():
    model = ResNet(18, norm_eval=True, **SMALL).train()
    before = model.bn1.running_mean.clone()
    sum(feature.sum() for feature in model(image())).backward()
    assert torch.equal(model.bn1.running_mean, before) and model.bn1.weight.grad is not None


def test_recomputation_changes_no_gradient():
    torch.manual_seed(0)
    plain = ResNet(50, **SMALL)
    recomputed = ResNet(50, with_cp=True, **SMALL)
    recomputed.load_state_dict(plain.state_dict())
    saved = []
    for model in (plain, recomputed):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = sum(feature.square().mean() for feature in model.train()(image()))
        loss.backward()
        saved.append(count)
    assert saved[1] < 0.5 * saved[0]
    for one, other in zip(plain.parameters(), recomputed.parameters()):
        torch.testing.assert_close(one.grad, other.grad)


def test_zero_init_residual_makes_blocks_the_identity():
    for depth, norm in ((18, 'norm2'), (50, 'norm3')):
        for zero in (True, False):
            model = ResNet(depth, zero_init_residual=zero, **SMALL)
            model.init_weights()
            blocks = [block for name in model.res_layers for block in getattr(model, name)]
            assert all(getattr(block, norm).weight.any().item() is not zero for block in blocks)


def test_multi_grid_sets_the_last_stages_dilations():
    model = ResNetV1c(depth=50, dilations=(1, 1, 2, 2), strides=(1, 2, 1, 1), multi_grid=[1, 2, 4], **SMALL)
    assert [block.conv2.dilation[0] for block in model.layer4] == [1, 2, 4]
    assert [block.conv2.dilation[0] for block in model.layer3] == [2] * 6
    model = ResNetV1c(depth=50, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1), contract_dilation=True, **SMALL)
    assert [block.conv2.dilation[0] for block in model.layer4] == [2, 4, 4]
    with pytest.raises(ValueError, match='multi_grid needs a dilation for each of 3 blocks'):
        ResLayer(BasicBlock, 4, 4, 3, multi_grid=(1, 2))


def test_plugins_are_at_the_configured_positions_and_stages():
    plugin = dict(type='ContextBlock', ratio=0.5)
    model = ResNet(
        50,
        plugins=[
            dict(cfg=plugin, stages=(False, True, False, False), position='after_conv2'),
            dict(cfg={**plugin, 'postfix': '_b'}, position='after_conv3'),
        ],
        **SMALL,
    )
    names = [
        {name for name, _ in getattr(model, stage)[0].named_children() if 'context' in name}
        for stage in model.res_layers
    ]
    assert names == [
        {'context_block_b'},
        {'context_block', 'context_block_b'},
        {'context_block_b'},
        {'context_block_b'},
    ]
    assert (
        model.layer2[0].context_block.in_channels == 8 and model.layer2[0].context_block_b.in_channels == 32
    )
    channels_last = model.eval()(image().contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(channels_last[-1], model(image())[-1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(depth=20), r'depth is one of \[18, 34, 50, 101, 152\], got 20'),
        (dict(depth=18, strides=(1, 2)), 'strides needs 4 entries'),
        (dict(depth=18, out_indices=(4,)), 'out_indices are among 0 to 3'),
        (dict(depth=18, num_stages=5), 'num_stages is 1 to 4'),
        (dict(depth=18, frozen_stages=7), 'frozen_stages is -1 to 4'),
        (dict(depth=50, style='tf'), "style is 'pytorch' or 'caffe'"),
        (
            dict(depth=18, plugins=[dict(cfg=dict(type='ContextBlock', ratio=1), position='after_conv2')]),
            'bottleneck',
        ),
        (
            dict(depth=50, plugins=[dict(cfg=dict(type='ContextBlock', ratio=1), position='before')]),
            'position is one of',
        ),
        (
            dict(depth=50, dcn=dict(type='NoSuchDCN'), stage_with_dcn=(False, False, True, True)),
            'compiled operator',
        ),
    ],
)
def test_errors_name_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**options, **SMALL)


def test_dcn_replaces_the_middle_convolution():
    """``Conv2d`` by name stands in for the compiled operator, with a bias to tell it apart."""
    dcn = dict(type='Conv2dAdaptivePadding')
    model = ResNet(50, dcn=dcn, stage_with_dcn=(False, True, False, False), **SMALL)
    kinds = [type(getattr(model, stage)[0].conv2).__name__ for stage in model.res_layers]
    assert kinds == ['Conv2d', 'Conv2dAdaptivePadding', 'Conv2d', 'Conv2d']
    fallback = ResNet(50, dcn=dict(dcn, fallback_on_stride=True), stage_with_dcn=(True,) * 4, **SMALL)
    assert type(fallback.layer2[0].conv2) is nn.Conv2d
