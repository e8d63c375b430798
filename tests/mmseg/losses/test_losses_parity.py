"""The recorded values and gradients of mmsegmentation 1.2.2."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.registry import MODELS

PARITY = Path(__file__).parents[2] / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
ROWS = json.loads((PARITY / 'losses.json').read_text())['rows']


@pytest.fixture(scope='module')
def case():
    logits = np.random.RandomState(7).standard_normal((2, 3, 24, 32)) * 2
    return torch.from_numpy(logits).float(), FILL['label'](2, 24, 32, 3, seed=8)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: json.dumps(row['cfg']))
def test_value_and_gradient(row, case):
    pred, target = case[0].clone().requires_grad_(), case[1]
    value = MODELS.build(dict(row['cfg']))(pred, target, ignore_index=255).sum()
    value.backward()
    # float32 sums of 1536 pixels: 2e-6 relative is about twenty roundings.
    assert value.item() == pytest.approx(row['value'], rel=2e-6)
    if 'grad_norm' in row:
        assert pred.grad.norm().item() == pytest.approx(row['grad_norm'], rel=2e-5)
