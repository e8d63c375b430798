"""DPTHead against mmsegmentation 1.2.2, and the linear head; ``tests/parity/dpt.json`` says how it was recorded."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS

PARITY = Path(__file__).parents[2] / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
ROWS = json.loads((PARITY / 'dpt.json').read_text())['rows']
TOLERANCE = 1e-3


def draw(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape))).float()


@pytest.mark.parametrize('name', ROWS)
def test_outputs_and_gradients_are_the_recorded_ones(name):
    row = ROWS[name]
    head = FILL['fill'](MODELS.build(row['config']))
    state = {key: list(value.shape) for key, value in head.state_dict().items() if 'num_batches' not in key}
    assert list(state.items()) == list(row['state'].items())
    inputs = [[draw(i + 3, (2, 16, 4, 6)), draw(i + 13, (2, 16))] for i in range(4)]
    for mode in ('eval', 'train'):
        logits = head.train(mode == 'train')(inputs)
        product = logits * draw(99, logits.shape)
        assert list(logits.shape) == row[mode]['shape']
        norm = logits.norm().item()
        assert norm == pytest.approx(row[mode]['norm'], rel=TOLERANCE)
        assert product.sum().item() == pytest.approx(row[mode]['projection'], abs=TOLERANCE * norm)
    losses = head.loss(inputs, FILL['label'](2, 64, 96), {})
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(row['losses'], rel=TOLERANCE)
    product.mean().backward()
    total = torch.stack([parameter.grad.norm() for parameter in head.parameters()]).norm().item()
    assert total == pytest.approx(row['gradient'], rel=TOLERANCE)


def test_maps_without_class_tokens_are_read_too():
    head = FILL['fill'](MODELS.build(ROWS['ignore']['config'])).eval()
    maps = [draw(i + 3, (2, 16, 4, 6)) for i in range(4)]
    assert torch.equal(head(maps), head([(one, None) for one in maps]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(readout_type='cls'), 'readout_type is one of'),
        (dict(post_process_channels=[8, 8]), 'expected four levels'),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({**ROWS['ignore']['config'], **options})


def test_the_linear_head_is_a_norm_and_a_classifier():
    head = MODELS.build(
        dict(type='BNHead', in_channels=[4, 8], in_index=[0, 2], num_classes=3, norm_cfg=dict(type='BN'))
    ).eval()
    assert {key.partition('.')[0] for key in head.state_dict()} == {'bn', 'conv_seg'}
    inputs = [draw(0, (2, 4, 6, 6)), None, draw(1, (2, 8, 6, 6))]
    expected = torch.nn.functional.conv2d(
        torch.cat([inputs[0], inputs[2]], dim=1) / (1 + head.bn.eps) ** 0.5,
        head.conv_seg.weight,
        head.conv_seg.bias,
    )
    torch.testing.assert_close(head(inputs), expected)
