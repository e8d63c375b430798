"""TIMMBackbone on timm's own models; torchvision, of which features need nothing, is a stand-in."""

import enum
import importlib.machinery
import importlib.util
import sys
import types

import pytest
import torch

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS


class _Standin(types.ModuleType):
    """A module that has every class one asks for."""

    __path__ = ()

    class InterpolationMode(enum.Enum):
        NEAREST, NEAREST_EXACT, BILINEAR, BICUBIC, BOX, HAMMING, LANCZOS = range(7)

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


class _Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torchvision':
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Standin(spec.name)

    def exec_module(self, module):
        pass


@pytest.fixture(scope='module')
def timm():
    """timm, imported beside the stand-in; both are forgotten afterwards."""
    if importlib.util.find_spec('timm') is None:
        pytest.skip('needs timm: pip install "wta-seg[timm]"')
    known = dict(sys.modules)
    for name in list(sys.modules):
        if name.partition('.')[0] in ('timm', 'torchvision'):
            del sys.modules[name]
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module('timm')
    finally:
        sys.meta_path.remove(finder)
        for name in list(sys.modules):
            if name.partition('.')[0] in ('timm', 'torchvision'):
                del sys.modules[name]
        sys.modules.update(
            {
                name: module
                for name, module in known.items()
                if name.partition('.')[0] in ('timm', 'torchvision')
            }
        )


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
        _build(model_name='resnet18', checkpoint_path='nowhere.pth')
    torch.save({'other': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match="not in timm's layout"):
        _build(model_name='resnet18', checkpoint_path=str(tmp_path / 'other.pth'))


def test_wrong_names_are_refused(timm):
    with pytest.raises(ValueError, match=r"no model 'resnet17_x'; similar: \['.+"):
        _build(model_name='resnet17_x')
    with pytest.raises(ValueError, match='goes to checkpoint_path'):
        MODELS.build(dict(type='TIMMBackbone', model_name='resnet18', pretrained='weights.pth'))


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)  # what makes ``import timm`` fail
    with pytest.raises(ImportError, match=r'pip install "wta-seg\[timm,torchvision\]"'):
        _build(model_name='resnet18')
