"""A loss is swapped on all heads at once, and nothing else of a config changes."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg.utils.loss_config import model_heads, set_loss, with_loss

CONFIGS = Path(__file__).parents[3] / 'configs'
MODELS = sorted((CONFIGS / '_base_/models').glob('*_wta.py'))
DICE = dict(type='DiceLoss', use_sigmoid=False, loss_weight=0.5)


def _without_losses(model: dict) -> dict:
    model = copy.deepcopy(model)
    for head in model_heads(model):
        del head['loss_decode']
    return model


@pytest.mark.parametrize('path', MODELS, ids=lambda path: path.stem)
def test_every_head_keeps_its_weight(path):
    published = Config.fromfile(path).model
    model = copy.deepcopy(published)
    set_loss(model, DICE)
    assert _without_losses(model) == _without_losses(published)
    for old, new in zip(model_heads(published), model_heads(model), strict=True):
        assert new['loss_decode'] == DICE | dict(loss_weight=0.5 * old['loss_decode']['loss_weight'])
    set_loss(model, [dict(type='CrossEntropyLoss'), DICE])
    assert [len(head['loss_decode']) for head in model_heads(model)] == [2] * len(list(model_heads(model)))


@pytest.mark.parametrize('name', ['fast_scnn_4xb4-40k_wta{}-512x512', 'fast_scnn_1xb8-1k_wta_demo{}-96x96'])
def test_a_config_file_with_another_loss(name):
    focal = Config.fromfile(CONFIGS / 'fastscnn' / f'{name.format("")}.py')
    entropy = Config.fromfile(CONFIGS / 'fastscnn' / f'{name.format("-ce")}.py')
    assert '_delete_' not in entropy.model
    assert _without_losses(entropy.model) == _without_losses(focal.model)
    losses = [head['loss_decode'] for head in model_heads(entropy.model)]
    plain = dict(type='CrossEntropyLoss', use_sigmoid=False)
    assert losses == [plain | dict(loss_weight=weight) for weight in (1.0, 0.4, 0.4)]
    assert focal.model.decode_head.loss_decode.alpha == [0.1, 0.3, 0.6]


def test_the_base_is_not_changed():
    model = dict(decode_head=dict(type='FCNHead', loss_decode=dict(type='FocalLoss', alpha=[0.1, 0.9])))
    before = copy.deepcopy(model)
    changed = with_loss(model, DICE)
    assert model == before
    assert changed['decode_head']['loss_decode'] == DICE
    with pytest.raises(ValueError, match='set_loss takes'):
        set_loss(model, [])
    with pytest.raises(ValueError, match='set_loss takes'):
        set_loss(model, dict(alpha=0.5))


def test_alpha_is_typed_once():
    files = [path for path in CONFIGS.rglob('*.py') if '0.1, 0.3, 0.6' in path.read_text()]
    assert [path.name for path in files] == ['focal.py']
