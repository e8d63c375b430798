"""From the preprocessor's output to the gradients nothing makes the host wait, as a CUDA graph needs it."""

import pytest
import torch
from contract import ARCHITECTURES
from host_sync import HostSync, HostSyncError
from torch import nn

from mmseg.models.losses import accuracy
from mmseg.models.utils.wrappers import interpolation_matrix
from mmseg.registry import MODELS
from mmseg.structures import build_pixel_sampler

WEIGHTS = [0.5, 1.0, 2.0]
LOSSES = {
    'cross entropy': dict(type='CrossEntropyLoss', class_weight=WEIGHTS, avg_non_ignore=True),
    'binary cross entropy': dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=WEIGHTS),
    'focal': dict(type='FocalLoss', alpha=[0.1, 0.3, 0.6], class_weight=WEIGHTS),
    'focal of softmax': dict(type='FocalLoss', use_sigmoid=False, alpha=[0.1, 0.3, 0.6]),
    'dice': dict(type='DiceLoss', use_sigmoid=False),
    'naive dice': dict(type='DiceLoss', naive_dice=True),
    'tversky': dict(type='TverskyLoss', class_weight=WEIGHTS),
    'focal tversky': dict(type='FocalTverskyLoss'),
    'unified focal': dict(type='UnifiedFocalLoss'),
    'unified focal, symmetric': dict(type='UnifiedFocalLoss', asymmetric=False),
    'lovasz': dict(type='LovaszLoss', reduction='none', class_weight=WEIGHTS),
    'lovasz of each image': dict(type='LovaszLoss', per_image=True, classes=[1, 2]),
    'ohem': dict(type='OhemCrossEntropy', min_kept=50, class_weight=WEIGHTS),
}


@pytest.fixture(autouse=True)
def _no_cached_matrices():
    interpolation_matrix.cache_clear()  # those of meta tensors have no values
    yield
    interpolation_matrix.cache_clear()


@pytest.mark.parametrize('architecture', ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_training_step_of_a_model(architecture):
    with torch.device('meta'):
        model = MODELS.build(architecture.config()).train()
        images = torch.empty(2, 3, *architecture.size)
        labels = torch.empty(2, *architecture.size, dtype=torch.long)
    with HostSync():
        losses = model.loss_tensors(images, labels)
        total, logged = model.parse_losses(losses)
        total.backward()
    assert logged['loss'].device.type == 'meta'
    assert all(
        parameter.grad.device.type == 'meta' for parameter in model.parameters() if parameter.grad is not None
    )
    assert any(parameter.grad is not None for parameter in model.parameters())


def _logits_and_labels():
    return (
        torch.empty(2, 3, 8, 8, device='meta', requires_grad=True),
        torch.empty(2, 8, 8, dtype=torch.long, device='meta'),
    )


@pytest.mark.parametrize('name', LOSSES)
def test_losses(name):
    loss = MODELS.build(LOSSES[name]).to('meta')
    logits, labels = _logits_and_labels()
    with HostSync():
        loss(logits, labels, ignore_index=255).sum().backward()
        accuracy(logits, labels, ignore_index=255)
    assert logits.grad.shape == logits.shape


@pytest.mark.parametrize('threshold', [None, 0.7])
def test_pixel_sampling(threshold):
    head = nn.Module()
    head.loss_decode, head.ignore_index = MODELS.build(LOSSES['cross entropy']).to('meta'), 255
    sampler = build_pixel_sampler(dict(type='OHEMPixelSampler', thresh=threshold, min_kept=20), context=head)
    logits, labels = _logits_and_labels()
    with HostSync():
        weight = sampler.sample(logits, labels.unsqueeze(1))
        head.loss_decode(logits, labels, weight=weight, ignore_index=255).backward()


def _select(x):
    return x[x > 0]


def _assign(x):
    y = x.clone()
    y[x > 0] = 0
    return y


@pytest.mark.parametrize(
    'operation',
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        _select,
        _assign,
        torch.nonzero,
        lambda x: x + torch.tensor([1.0, 2.0], device=x.device),
        lambda x: x + torch.ones(2).to(x.device),
        torch.unique,
    ],
    ids=['item', 'bool', 'select', 'assign', 'nonzero', 'list', 'copy', 'unique'],
)
def test_what_waits_is_found(operation):
    with HostSync(), pytest.raises((HostSyncError, NotImplementedError, RuntimeError)):
        operation(torch.empty(2, device='meta'))
