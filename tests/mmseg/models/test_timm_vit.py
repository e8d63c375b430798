"""TIMMVisionTransformer: what it returns, what stays frozen, where its weights come from."""

import pytest
import torch
from timm_import import import_timm, needs_timm

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS

pytestmark = needs_timm

SMALL = dict(embed_dim=32, depth=4, num_heads=2)


@pytest.fixture(scope='module')
def timm():
    return import_timm()


def build(name='vit_small_patch14_dinov2', **options):
    options = {'pretrained': False, **SMALL, **options}
    return MODELS.build(dict(type='TIMMVisionTransformer', model_name=name, **options))


@pytest.mark.parametrize(
    ('name', 'patch'),
    [
        ('vit_small_patch14_reg4_dinov2', 14),
        ('vit_small_patch16_dinov3', 16),
        ('eva02_tiny_patch14_224', 14),
        ('deit3_small_patch16_224', 16),
    ],
)
def test_maps_and_class_tokens_are_those_of_timm(timm, name, patch):
    backbone = build(name, out_indices=[1, 3], output_cls_token=True)
    images = torch.randn(2, 3, 4 * patch, 6 * patch, generator=torch.Generator().manual_seed(0))
    original = timm.create_model(name, dynamic_img_size=True, num_classes=0, **SMALL).eval()
    original.load_state_dict(backbone.timm_model.state_dict())
    with torch.no_grad():
        expected = original.forward_intermediates(images, [1, 3], True, norm=True, intermediates_only=True)
    for (feature, token), (map_, tokens) in zip(backbone(images), expected, strict=True):
        assert feature.shape == (2, 32, 4, 6) and token.shape == (2, 32)
        assert torch.equal(feature, map_) and torch.equal(token, tokens[:, 0])


def test_an_image_is_enlarged_to_whole_patches(timm):
    backbone = build()
    (*_, feature) = backbone(torch.zeros(1, 3, 64, 71))
    assert feature.shape[2:] == (5, 6)
    gradient = torch.zeros(1, 3, 70, 70)
    gradient[..., 35:] = 1.0  # the right half of an image of 64 pixels is the right half of the enlarged one
    small = torch.nn.functional.interpolate(gradient, (64, 64), mode='area')
    difference = backbone(small)[-1] - backbone(gradient)[-1]
    assert difference.abs().mean() < 0.1 * backbone(gradient)[-1].std()


def test_levels_are_evenly_spaced_by_default(timm):
    assert build(depth=12).out_indices == [2, 5, 8, 11]
    assert build(depth=2).out_indices == [0, 1]


def test_a_frozen_transformer_stays_as_it_is(timm):
    backbone = build(drop_path_rate=0.5).train()
    assert not backbone.timm_model.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    images = torch.randn(2, 3, 28, 28)
    first, second = backbone(images)[-1], backbone(images)[-1]
    assert torch.equal(first, second) and not first.requires_grad


def test_it_is_trained_where_the_config_says_so(timm):
    backbone = build(frozen=False).train()
    assert backbone.timm_model.training
    backbone(torch.randn(1, 3, 28, 28))[-1].sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_weights_of_a_file_are_loaded_when_a_training_begins(timm, tmp_path):
    state = timm.create_model('vit_small_patch14_dinov2', **SMALL).state_dict()
    file = tmp_path / 'dino.pth'
    torch.save(state, file)
    backbone = build(pretrained=str(file))
    assert not torch.equal(backbone.timm_model.cls_token, state['cls_token'])
    backbone.init_weights()
    assert all(torch.equal(value, state[key]) for key, value in backbone.timm_model.state_dict().items())
    backbone.train()
    assert not backbone.timm_model.training


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(pretrained='dinov9'),
            r"neither a file .* nor weights of vit_small_patch14_dinov2; timm has \['vit_",
        ),
        (dict(pretrained='vit_small_patch14_reg4_dinov2.lvd142m'), 'neither a file'),
        (dict(out_indices=[4]), r'expected layers of vit_small_patch14_dinov2, 0 to 3'),
        (dict(name='vit_small_patch14_dinov9'), 'similar: .*dinov2'),
        (dict(name='test_efficientnet', depth=None), 'can not build test_efficientnet'),
    ],
)
def test_wrong_arguments_are_refused(timm, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_weights_are_named_with_or_without_the_model(timm):
    tagged = build('vit_small_patch14_dinov2.lvd142m')
    assert tagged.state_dict().keys() == build().state_dict().keys()
    assert (
        build(pretrained='vit_small_patch14_dinov2.lvd142m')._source.name
        == 'vit_small_patch14_dinov2.lvd142m'
    )
