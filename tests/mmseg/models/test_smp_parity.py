"""U-Net and U-Net++ against segmentation_models_pytorch; ``tests/parity/smp.json`` says how it was recorded."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from timm_import import import_timm, needs_timm

import mmseg.models  # noqa: F401
from mmseg.models.utils.smp_conversion import convert_smp
from mmseg.registry import MODELS

PARITY = Path(__file__).parents[2] / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
ROWS = json.loads((PARITY / 'smp.json').read_text())['rows']
TOLERANCE = 1e-3


def weights(row):
    return {key: FILL['tensor_for'](key, torch.empty(shape)) for key, shape in row['state'].items()}


def draw(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape))).float()


def load(module, state, prefix=''):
    """Load all tensors of a prefix; counters of batches are not recorded."""
    part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    result = module.load_state_dict(part, strict=False)
    assert not result.unexpected_keys
    assert all(key.endswith('num_batches_tracked') for key in result.missing_keys)


@pytest.mark.parametrize('name', ROWS)
def test_a_decoder_computes_and_learns_the_same(name):
    row = ROWS[name]
    head = MODELS.build(row['head']).train()
    load(head, convert_smp(weights(row)), 'decode_head.')
    widths = row['head']['in_channels']
    first = len(row['head']['decoder_channels']) - len(widths)  # outputs that the encoder lacks
    features = [draw(i + 3, (2, width, 64 >> i + 1, 96 >> i + 1)) for i, width in enumerate(widths, first)]
    logits = head(features)
    product = logits * draw(99, logits.shape)
    product.mean().backward()
    gradients = [parameter.grad for parameter in head.parameters() if parameter.requires_grad]
    norm = logits.norm().item()
    assert norm == pytest.approx(row['train']['norm'], rel=TOLERANCE)
    assert product.sum().item() == pytest.approx(row['train']['projection'], abs=TOLERANCE * norm)
    total = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    assert total == pytest.approx(row['train']['gradient'], rel=TOLERANCE)


@needs_timm
@pytest.mark.parametrize('name', ROWS)
def test_a_converted_checkpoint_gives_the_logits(name):
    import_timm()
    row = ROWS[name]
    options = {key: value for key, value in row['encoder'].items() if key in ('model_name', 'out_indices')}
    backbone = dict(type='TIMMBackbone', pretrained=False, **options)
    model = MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=row['head'])).eval()
    load(model, convert_smp(weights(row)))
    with torch.no_grad():
        logits = model(FILL['image'](2, 64, 96))
    assert list(logits.shape) == row['shape']
    places = np.linspace(0, logits.numel() - 1, len(row['logits'])).astype(int)
    error = np.abs(logits.flatten()[places].numpy() - row['logits']).max()
    assert error <= TOLERANCE * row['std']


def test_odd_sizes_follow_the_skip_connections():
    head = MODELS.build(dict(ROWS['unet_depth3']['head'], in_channels=[8, 8, 8]))
    features = [torch.zeros(1, 8, 49, 38), torch.zeros(1, 8, 25, 19), torch.zeros(1, 8, 13, 10)]
    assert head(features).shape == (1, 3, 98, 76)


def test_a_checkpoint_of_lightning_is_converted():
    state = weights(ROWS['unet_depth3'])
    converted = convert_smp(
        {f'model.{key}': value for key, value in state.items()} | {'loss.w': torch.ones(1)}
    )
    assert converted.keys() == convert_smp(state).keys()
    assert not any('layer3' in key for key in converted)  # a decoder of three blocks does not use it


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('segmentation_head.0.weight', 'not the layout of Unet'),
        ('decoder.center.0.weight', 'not the decoder of Unet'),
        ('encoder._conv_stem.weight', 'a layout of its own'),
    ],
)
def test_other_layouts_are_refused(key, message):
    state = weights(ROWS['unet_depth3'])
    if key.startswith('encoder'):
        state = {name: value for name, value in state.items() if not name.startswith('encoder')}
    if key in state:
        state = {name: value for name, value in state.items() if not name.startswith('segmentation_head')}
    else:
        state = {key: torch.zeros(1), **state}
    with pytest.raises(ValueError, match=message):
        convert_smp(state, 'smp.pth')


def test_fewer_blocks_than_inputs_are_refused():
    with pytest.raises(ValueError, match='expected one for each'):
        MODELS.build(
            dict(type='UnetHead', in_channels=[8, 8], in_index=[0, 1], decoder_channels=[8], num_classes=3)
        )
