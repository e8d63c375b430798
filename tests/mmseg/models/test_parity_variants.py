"""Small models against mmsegmentation 1.2.2: other depths, options, odd sizes, training.

``tests/parity/resnet_variants.json`` and ``segmentors.json`` hold what the recorded program computed with the weights
and images of ``tests/parity/fill.py``; its dropout was off for the training figures.
"""

import json
import runpy
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

PARITY = Path(__file__).parents[2] / 'parity'
FILL = runpy.run_path(str(PARITY / 'fill.py'))
VARIANTS = {
    name: figures
    for file in ('resnet_variants', 'segmentors')
    for name, figures in json.loads((PARITY / f'{file}.json').read_text()).items()
}


def build(figures):
    model = MODELS.build(figures['model'])
    shapes = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    assert len(shapes) == figures['keys']
    assert figures.get('crc', zlib.crc32(json.dumps(shapes).encode())) == zlib.crc32(
        json.dumps(shapes).encode()
    )
    n, channels, height, width = figures['input']
    images = FILL['image'](n, height, width)[:, :channels]
    meta = dict(img_shape=(height, width), ori_shape=(height, width), pad_shape=(height, width))
    labels = FILL['label'](n, height, width)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None]), metainfo=meta) for label in labels]
    if figures.get('edges'):
        add_edges(samples)
    return FILL['fill'](model), images, samples


def add_edges(samples):
    """Edge maps that only need to be the recorded ones: 1 left of another label, the last row ignored."""
    for sample in samples:
        label = sample.gt_sem_seg.data[0]
        edge = torch.zeros_like(label)
        edge[:, :-1] = (label[:, 1:] != label[:, :-1]).long()
        edge[-1] = 255
        sample.gt_edge_map = PixelData(data=edge[None])


@pytest.mark.parametrize('name', VARIANTS)
def test_variant_is_the_recorded_one(name):
    figures = VARIANTS[name]
    model, images, samples = build(figures)
    model.eval()
    with torch.no_grad():
        logits = model.inference(images, [sample.metainfo for sample in samples])
        losses = model.loss(images, samples) if 'losses' in figures else {}
    places = np.linspace(0, logits.numel() - 1, len(figures['logits'])).astype(int)
    error = np.abs(logits.flatten()[places].numpy() - figures['logits']).max()
    assert error <= 1e-3 * figures['std']
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        figures.get('losses', {}), rel=1e-3
    )

    model.train()
    for module in model.modules():
        if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
            module.p = 0
    losses = model.loss(images, samples)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        figures['train_losses'], rel=1e-3
    )
    gradients = {
        name: parameter.grad.norm().item()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    gradients[''] = sum(value**2 for value in gradients.values()) ** 0.5
    # Batch norm over few values makes much of how a processor rounds: up to 1.5 % with other vector units.
    assert {name: gradients[name] for name in figures['gradients']} == pytest.approx(
        figures['gradients'], rel=2e-2
    )
