"""TIMMBackbone on timm's own models."""

import sys

import pytest
import torch
from timm_import import import_timm, needs_timm

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS


@pytest.fixture(scope='module')
def timm():
    """timm beside a stand-in for torchvision."""
    if needs_timm.args[0]:
        pytest.skip(needs_timm.kwargs['reason'])
    return import_timm()


def _build(**kwargs):
    return MODELS.build(dict(type='TIMMBackbone', pretrained=False, **kwargs))


def test_feature_maps_at_the_chosen_strides(timm):
    backbone = _build(model_name='resnet18', out_indices=(1, 2, 3), output_stride=8, in_channels=4)
    features = backbone(torch.zeros(2, 4, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (2, 64, 16, 24),
        (2, 128, 8, 12),
        (2, 256, 8, 12),
    ]
    assert all(key.startswith('timm_model.') for key in backbone.state_dict())


def test_unpooled_features_without_feature_maps(timm):
    backbone = _build(model_name='resnet18', features_only=False)
    (features,) = backbone(torch.zeros(2, 3, 64, 96))
    assert features.shape == (2, 512, 2, 3)
    assert not any('fc' in key for key in backbone.state_dict())


def test_a_file_is_loaded(timm, tmp_path):
    state = timm.create_model('resnet18').state_dict()
    torch.save(state, tmp_path / 'weights.pth')
    backbone = _build(model_name='resnet18', checkpoint_path=str(tmp_path / 'weights.pth'))
    backbone.init_weights()
    assert torch.equal(backbone.timm_model.conv1.weight, state['conv1.weight'])
    with pytest.raises(FileNotFoundError, match='nowhere'):
        _build(model_name='resnet18', checkpoint_path='nowhere.pth').init_weights()
    torch.save({'other': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="not in timm's layout"):
        _build(model_name='resnet18', checkpoint_path=str(tmp_path / 'other.pth')).init_weights()
    torch.save({**state, 'conv1.weight': torch.zeros(1)}, tmp_path / 'shape.pth')
    with pytest.raises(ValueError, match=r'shape\.pth does not fit resnet18'):
        _build(model_name='resnet18', checkpoint_path=str(tmp_path / 'shape.pth')).init_weights()


def test_without_a_network_the_error_says_which_file_to_bring(timm, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    backbone = MODELS.build(
        dict(type='TIMMBackbone', model_name='resnet18')
    )  # no weights are needed to build it
    with monkeypatch.context() as patch:
        patch.setattr(timm.models._builder, 'load_state_dict_from_hf', fail)
        patch.setattr(timm.models._builder, 'load_state_dict_from_url', fail)
        with pytest.raises(FileNotFoundError) as raised:
            backbone.init_weights()
    file = tmp_path / 'checkpoints' / 'resnet18.a1_in1k.safetensors'
    message = str(raised.value)
    assert 'huggingface.co/timm/resnet18.a1_in1k' in message and str(file) in message and '\n' not in message
    state = timm.create_model('resnet18').state_dict()
    file.parent.mkdir()
    pytest.importorskip('safetensors.torch').save_file(state, file)
    backbone.init_weights()
    assert torch.equal(backbone.timm_model.conv1.weight, state['conv1.weight'])


def test_wrong_names_are_refused(timm):
    with pytest.raises(ValueError, match=r"no model 'resnet17_x'; similar: \['.+"):
        _build(model_name='resnet17_x')
    with pytest.raises(ValueError, match='goes to checkpoint_path'):
        MODELS.build(dict(type='TIMMBackbone', model_name='resnet18', pretrained='weights.pth'))


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)  # what makes ``import timm`` fail
    with pytest.raises(ImportError, match=r'pip install "wta-seg\[timm,torchvision\]"'):
        _build(model_name='resnet18')
