"""Modules that are no registered models, against mmsegmentation 1.2.2; ``modules.json`` says how it was recorded."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule

from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmseg.models import utils
from mmseg.models.backbones import unet, vit
from mmseg.registry import MODELS

PARITY = Path(__file__).parents[2] / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
ROWS = json.loads((PARITY / 'modules.json').read_text())['rows']


def draw(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape))).float()


@pytest.mark.parametrize('name', ROWS)
def test_module_is_the_recorded_one(name):
    row = ROWS[name]
    module = getattr(utils, row['cls'], None) or getattr(vit, row['cls'])
    kwargs = dict(row['kwargs'])
    if 'conv_block' in kwargs:
        kwargs['conv_block'] = getattr(unet, kwargs['conv_block'])
    module = module(**kwargs).eval()
    assert {key: list(value.shape) for key, value in module.state_dict().items()} == row['state']
    if row['state']:
        FILL['fill'](module)
    with torch.no_grad():
        output = module(*[draw(i + 3, shape) for i, shape in enumerate(row['inputs'])], *row['call'])
    output, *size = output if isinstance(output, tuple) else (output,)
    assert [list(one) for one in size] == ([row['size']] if 'size' in row else [])
    assert list(output.shape) == row['shape']
    assert output.norm().item() == pytest.approx(row['norm'], rel=1e-5)
    places = np.linspace(0, output.numel() - 1, len(row['values'])).astype(int)
    assert output.flatten()[places].tolist() == pytest.approx(row['values'], rel=1e-4, abs=1e-5)
    for key in ('init_input_size', 'init_out_size'):
        if key in row:
            assert list(getattr(module, key)) == row[key]


def test_explicit_arguments_of_a_layer_win():
    layer = vit.TransformerEncoderLayer(
        8, 2, 16, attn_cfg=dict(num_heads=4, dropout_layer=dict(type='Dropout', drop_prob=0.5))
    )
    assert layer.attn.attn.num_heads == 2
    assert layer.attn.dropout_layer.p == 0.5


def test_tokens_and_maps():
    x = draw(0, (2, 6, 4, 5))
    tokens = utils.nchw_to_nlc(x)
    assert tokens.shape == (2, 20, 6) and torch.equal(tokens[:, 7], x[:, :, 1, 2])
    assert torch.equal(utils.nlc_to_nchw(tokens, (4, 5)), x)
    norm = torch.nn.LayerNorm(6)
    assert torch.equal(
        utils.nchw2nlc2nchw(norm, x, contiguous=True), norm(tokens).transpose(1, 2).view(x.shape)
    )
    conv = torch.nn.Conv2d(6, 3, 1)
    torch.testing.assert_close(utils.nlc2nchw2nlc(conv, tokens, (4, 5)), conv(x).flatten(2).transpose(1, 2))
    with pytest.raises(ValueError, match='no map of 4 x 4'):
        utils.nlc_to_nchw(tokens, (4, 4))


@pytest.mark.parametrize(('backbone', 'kind'), [('BEiT', 'layer_wise_vit'), ('BEiT', 'layer_wise')])
def test_learning_rates_by_layer_are_the_recorded_ones(backbone, kind):
    """Of three layers: rate, weight decay and number of parameters of each group."""
    backbone = dict(
        type=backbone, img_size=32, patch_size=16, embed_dims=32, num_layers=3, num_heads=2, out_indices=[2]
    )
    model = BaseModule()
    model.backbone = MODELS.build(backbone)
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))
    settings = dict(num_layers=3, decay_rate=0.5, decay_type=kind)
    groups = LearningRateDecayOptimizerConstructor(wrapper, settings)(model).optimizer.param_groups
    recorded = [
        ('layer_0_decay', 0.0625, 0.05, 2),
        ('layer_0_no_decay', 0.0625, 0.0, 1),
        *((f'layer_{i + 1}_no_decay', 0.125 * 2**i, 0.0, 11) for i in range(3)),
        *((f'layer_{i + 1}_decay', 0.125 * 2**i, 0.05, 5) for i in range(3)),
    ]
    rates = [(g['group_name'], g['lr'], g['weight_decay'], len(g['params'])) for g in groups]
    assert sorted(rates) == sorted(recorded)
