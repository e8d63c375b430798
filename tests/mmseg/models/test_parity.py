"""Every model against what mmsegmentation 1.2.2 computed; ``tests/parity/README.md`` says how it was recorded."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

ROOT = Path(__file__).parents[3]
PARITY = ROOT / 'tests' / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
# A recorded model is a JSON with an npz beside it.
NAMES = sorted(path.stem for path in PARITY.glob('*.npz'))
TOLERANCE = 1e-3


def samples(labels):
    size = tuple(labels.shape[1:])
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo=meta) for label in labels]


@pytest.fixture(scope='module', params=NAMES)
def recorded(request):
    figures = json.loads((PARITY / f'{request.param}.json').read_text())
    arrays = dict(np.load(PARITY / f'{request.param}.npz'))
    return request.param, figures, arrays


@pytest.fixture(scope='module')
def model(recorded):
    return MODELS.build(recorded[1]['model']).eval()


@pytest.fixture(scope='module')
def filled(model):
    return FILL['fill'](model)


def test_state_dict_has_the_recorded_keys_and_shapes(recorded, model):
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert shapes == recorded[1]['state_dict']
    # an optimizer's state counts parameters by their order
    assert list(shapes) == list(recorded[1]['state_dict'])


def test_outputs_are_the_recorded_ones(recorded, filled):
    _, figures, arrays = recorded
    n, _, height, width = figures['input']
    stride = figures['logits_stride']
    images = FILL['image'](n, height, width)
    with torch.no_grad():
        features = filled.extract_feat(images)
        norms = [feature.norm().item() for feature in features]
        heads = [('logits', logits_of(filled.decode_head, features))]
        if filled.with_auxiliary_head:
            auxiliary = filled.auxiliary_head
            auxiliary = auxiliary if isinstance(auxiliary, torch.nn.ModuleList) else [auxiliary]
            heads += [(f'aux_{i}', head(features)) for i, head in enumerate(auxiliary)]
        prediction = filled.encode_decode(images, [samples(FILL['label'](n, height, width))[0].metainfo] * n)
        prediction = prediction.argmax(1)
    np.testing.assert_allclose(norms, arrays['feature_norms'], rtol=TOLERANCE)
    for name, output in heads:
        output = output[0] if isinstance(output, tuple) else output
        expected = arrays[name]
        error = np.abs(_sampled(output, expected.shape, stride) - expected).max()
        assert error <= TOLERANCE * expected.std(), name
    assert (prediction.numpy() == arrays['prediction']).mean() >= 0.999


def logits_of(head, features):
    """Logits of the last of several heads, each of which gets those of the one before."""
    if not isinstance(head, torch.nn.ModuleList):
        return head(features)
    logits = head[0](features)
    for following in head[1:]:
        logits = following(features, logits)
    return logits


def _sampled(output, shape, stride):
    return output.numpy() if output.shape == shape else output[:, :, ::stride, ::stride].numpy()


def test_losses_are_the_recorded_ones(recorded, filled):
    _, figures, _ = recorded
    n, _, height, width = figures['input']
    with torch.no_grad():
        losses = filled.loss(FILL['image'](n, height, width), samples(FILL['label'](n, height, width)))
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        figures['losses'], rel=TOLERANCE
    )


def test_base_config_is_the_recorded_model(recorded):
    """``configs/_base_/models`` differs by what the recording changed: SyncBN, class count, weights, image size."""
    name, figures, _ = recorded
    config = Config.fromfile(ROOT / 'configs' / '_base_' / 'models' / f'{name}.py').model.to_dict()
    assert _comparable(config) == _comparable(figures['model'])


def _comparable(node):
    if isinstance(node, dict):
        node = {key: _comparable(value) for key, value in node.items() if value is not None}
        node.pop('pretrained', None)
        node.pop('img_size', None)
        if 'num_classes' in node:
            node['num_classes'] = 3
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        return node
    return [_comparable(value) for value in node] if isinstance(node, (list, tuple)) else node
