"""Arguments that no recorded model uses, against mmsegmentation 1.2.2; ``variants.json`` says how it was recorded."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS

PARITY = Path(__file__).parents[3] / 'tests' / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
ROWS = json.loads((PARITY / 'variants.json').read_text())['rows']
TOLERANCE = 1e-3
# its many ReLUs near zero switch with a processor's rounding: 0.16 % with other vector units
GRADIENT_TOLERANCE = {'bise1_r18_odd': 1e-2}


def _draw(seed, shape):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape))).float()


def _flat(outputs):
    return [outputs] if torch.is_tensor(outputs) else [one for output in outputs for one in _flat(output)]


def _product(output):
    return output * _draw(99, output.shape)


@pytest.mark.parametrize('name', ROWS)
def test_outputs_and_gradients_are_the_recorded_ones(name):
    row = ROWS[name]
    model = FILL['fill'](MODELS.build(row['config']))
    state = model.state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (row['keys'], row['parameters'])
    inputs = [_draw(i + 3, (2, *shape)) for i, shape in enumerate(row['input'])]
    # Batch norm over two globally pooled values that are nearly equal would have gradients of rounding alone.
    images = torch.arange(2.0)[:, None, None, None]
    inputs = [one + row['offset'] * images for one in inputs] if 'offset' in row else inputs
    inputs = inputs[0] if row['input'][0][0] == 3 else inputs
    for mode in ('eval', 'train'):
        model.train(mode == 'train')
        outputs = _flat(model(inputs))
        assert [list(output.shape) for output in outputs] == [one['shape'] for one in row[mode]]
        for output, expected in zip(outputs, row[mode]):
            norm = output.norm().item()
            assert norm == pytest.approx(expected['norm'], rel=TOLERANCE)
            # the projection of unit noise is of the size of the norm, or smaller by chance
            assert _product(output).sum().item() == pytest.approx(
                expected['projection'], abs=TOLERANCE * norm
            )
    value = sum(_product(output).mean() for output in outputs)
    if 'losses' in row:
        losses = model.loss(inputs, FILL['label'](2, *row['label']), {})
        assert {key: loss.item() for key, loss in losses.items()} == pytest.approx(
            row['losses'], rel=TOLERANCE
        )
        value = sum(loss for key, loss in losses.items() if 'loss' in key)
    value.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    total = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    assert total == pytest.approx(row['gradient'], rel=GRADIENT_TOLERANCE.get(name, TOLERANCE))
