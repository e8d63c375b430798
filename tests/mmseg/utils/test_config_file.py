"""Configs that name backbones of packages that are not installed."""

import pytest

import mmseg.models
from mmseg.registry import MODELS
from mmseg.utils.config_file import read_config

BACKBONE = dict(type='mmpretrain.ConvNeXt', arch=dict(depths=[1], channels=[8]))


@pytest.fixture(autouse=True)
def not_installed(monkeypatch):
    for module in ('mmseg.registry.registry', 'mmseg.utils.config_file'):
        monkeypatch.setattr(f'{module}.find_spec', lambda name: None)


def test_a_backbone_of_mmpretrain_is_the_one_here():
    assert isinstance(MODELS.build(BACKBONE), mmseg.models.backbones.ConvNeXt)
    with pytest.raises(KeyError, match=r'mmpretrain\.SwinTransformer'):
        MODELS.build(dict(type='mmpretrain.SwinTransformer'))


@pytest.mark.parametrize('imports', ["'mmpretrain.models'", "['mmpretrain.models']"])
def test_the_import_of_mmpretrain_is_left_out(tmp_path, imports):
    path = tmp_path / 'convnext.py'
    path.write_text(
        f'custom_imports = dict(imports={imports}, allow_failed_imports=False)\nmodel = {BACKBONE}\n'
    )
    cfg = read_config(path)
    assert 'custom_imports' not in cfg and cfg.model.type == 'mmpretrain.ConvNeXt'


def test_other_modules_are_imported(tmp_path, monkeypatch):
    path = tmp_path / 'mine.py'
    path.write_text(
        "custom_imports = dict(imports=['mmpretrain.models', 'my_module'], allow_failed_imports=False)\n"
    )
    with pytest.raises(ImportError, match='my_module'):
        read_config(path)
    (tmp_path / 'my_module.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    assert read_config(path).custom_imports.imports == ['my_module']
