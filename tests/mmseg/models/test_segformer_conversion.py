"""A SegFormer of transformers, converted, computes the same; random weights."""

import pytest
import torch

import mmseg.models  # noqa: F401
from mmseg.models.utils.segformer_conversion import convert_segformer
from mmseg.models.utils.weight_conversion import main
from mmseg.registry import MODELS

# layers, widths and heads of the stages
DEPTHS, WIDTHS, HEADS = [1, 2, 1, 1], [8, 16, 16, 32], [1, 2, 2, 4]


@pytest.fixture(scope='module')
def original():
    """A small model whose norms and biases are no defaults."""
    transformers = pytest.importorskip('transformers', reason='pip install "wta-seg[augment]"')
    config = transformers.SegformerConfig(
        num_labels=5, depths=DEPTHS, hidden_sizes=WIDTHS, num_attention_heads=HEADS, decoder_hidden_size=16
    )
    torch.manual_seed(0)
    model = transformers.SegformerForSemanticSegmentation(config).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                value.add_(0.2 * torch.rand_like(value))
            elif 'weight' in name and value.ndim >= 2:
                value.mul_(10)  # transformers begins with a standard deviation of 0.02
    return model


@pytest.fixture(scope='module')
def file(original, tmp_path_factory):
    """The weights as transformers writes them."""
    folder = tmp_path_factory.mktemp('segformer')
    original.save_pretrained(folder)
    return folder / 'model.safetensors'


def build():
    backbone = dict(
        type='MixVisionTransformer',
        embed_dims=8,
        num_layers=DEPTHS,
        num_heads=HEADS,
        norm_cfg=dict(type='LN', eps=1e-5),  # as in transformers, whose layer_norm_eps has no effect
    )
    head = dict(
        type='SegformerHead',
        in_channels=WIDTHS,
        in_index=[0, 1, 2, 3],
        channels=16,
        num_classes=5,
        norm_cfg=dict(type='BN'),
        linear_projection=True,
    )
    return MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=head)).eval()


@pytest.mark.parametrize('layout', ['file', 'model'])
def test_logits_are_those_of_transformers(original, file, layout, tmp_path, capsys):
    source = file
    if layout == 'model':
        source = tmp_path / 'state.pth'
        torch.save(original.state_dict(), source)
    assert main(convert_segformer, 'doc', [str(source), str(tmp_path / 'ours.pth')]) == 0
    model = build()
    model.load_state_dict(torch.load(tmp_path / 'ours.pth', weights_only=True), strict=True)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = original(images).logits
        torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-5 * expected.std().item())


def test_without_a_decoder_there_is_a_backbone(original):
    state = {key: value for key, value in original.state_dict().items() if not key.startswith('decode_head')}
    converted = convert_segformer(state | {'classifier.weight': torch.zeros(5, 32)})
    backbone = {key.removeprefix('backbone.'): value for key, value in converted.items()}
    build().backbone.load_state_dict(backbone, strict=True)


@pytest.mark.parametrize(
    'key', ['conv1.weight', 'decode_head.other.weight', 'segformer.encoder.block.0.0.mlp.gate.weight']
)
def test_other_layouts_are_refused(original, key):
    with pytest.raises(ValueError, match=f'hf.pth: not the layout of Hugging Face.*{key}'):
        convert_segformer({**original.state_dict(), key: torch.zeros(1)}, 'hf.pth')
    with pytest.raises(ValueError, match='not the layout'):
        convert_segformer({'classifier.weight': torch.zeros(1)}, 'hf.pth')
