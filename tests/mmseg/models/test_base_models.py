"""Base configs against the models of mmsegmentation 1.2.2, in full size and without computing anything.

``tests/parity/base_models.json`` holds, for each file of ``configs/_base_/models``: the file of mmsegmentation that
has the model, number and CRC-32 of the ``state_dict``'s keys and shapes in their order, the number of parameters, and
the CRC-32 of the ``model`` dict itself.
"""

import json
import zlib
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS

ROOT = Path(__file__).parents[3]
RECORDED = json.loads((ROOT / 'tests' / 'parity' / 'base_models.json').read_text())


def crc(value):
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def comparable(node):
    """The dict without what depends on the data: weights, class count, class weights, image size, windows; BN for SyncBN."""
    if isinstance(node, dict):
        node = {key: comparable(value) for key, value in node.items() if value is not None}
        for key in ('pretrained', 'init_cfg', 'size', 'class_weight', 'test_cfg'):
            node.pop(key, None)
        if 'num_classes' in node:
            node['num_classes'] = 3
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        return node
    return [comparable(value) for value in node] if isinstance(node, (list, tuple)) else node


@pytest.mark.parametrize('name', RECORDED)
def test_base_config_is_the_recorded_model(name):
    recorded = RECORDED[name]
    config = comparable(Config.fromfile(ROOT / 'configs/_base_/models' / f'{name}.py').model.to_dict())
    with torch.device('meta'):
        model = MODELS.build(config)
    shapes = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    assert len(shapes) == recorded['keys']
    assert sum(parameter.numel() for parameter in model.parameters()) == recorded['parameters']
    assert crc(shapes) == recorded['state']
    assert crc(config) == recorded['config']
