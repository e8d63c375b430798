"""Learning rates by layer, on backbones that only have the names of the real ones."""

import pytest
import torch
from torch import nn

import mmseg.models  # noqa: F401
from mmseg.engine import LayerDecayOptimizerConstructor, LearningRateDecayOptimizerConstructor
from mmseg.registry import MODELS

_OPTIMIZER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))


class ToyBEiT(nn.Module):
    """An embedding and three blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.ones(1, 1, 3))
        self.patch_embed = nn.Linear(2, 2)
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))


class ToyConvNeXt(nn.Module):
    """Four stages of 3, 3, 9 and 3 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(4))
        self.stages = nn.ModuleList(nn.Sequential(*(nn.Linear(2, 2) for _ in range(n))) for n in (3, 3, 9, 3))


class _Segmentor(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.decode_head = nn.Linear(2, 2)


def _rates(constructor, backbone, **settings) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) of each parameter."""
    groups = constructor(_OPTIMIZER, settings)(_Segmentor(backbone)).optimizer.param_groups
    return {name: (group['lr'], group['weight_decay']) for group in groups for name in group['param_names']}


def test_blocks_of_a_transformer():
    rates = _rates(
        LearningRateDecayOptimizerConstructor,
        ToyBEiT(),
        num_layers=3,
        decay_rate=0.5,
        decay_type='layer_wise',
    )
    # five layers: embedding, three blocks, everything after
    assert rates['backbone.cls_token'] == (0.5**4, 0.05)
    assert rates['backbone.patch_embed.bias'] == (0.5**4, 0.0)
    assert rates['backbone.layers.0.weight'] == (0.5**3, 0.05)
    assert rates['backbone.layers.2.weight'] == (0.5, 0.05)
    assert rates['decode_head.weight'] == (1.0, 0.05)
    with pytest.warns(DeprecationWarning, match='is now LearningRateDecay'):
        older = _rates(LayerDecayOptimizerConstructor, ToyBEiT(), num_layers=3, layer_decay_rate=0.5)
    assert older == rates


def test_blocks_and_stages_of_convnext():
    constructor = LearningRateDecayOptimizerConstructor
    rates = _rates(constructor, ToyConvNeXt(), num_layers=6, decay_rate=0.5, decay_type='layer_wise')
    # eight layers: stem, stages 1 and 2, three groups of three blocks, stage 4, head
    expected = {
        'downsample_layers.0.0': 7,
        'stages.0.2': 6,
        'stages.2.2': 4,
        'stages.2.8': 2,
        'stages.3.0': 1,
    }
    for name, layers_after in expected.items():
        assert rates[f'backbone.{name}.weight'][0] == 0.5**layers_after
    assert rates['decode_head.weight'][0] == 1.0
    rates = _rates(constructor, ToyConvNeXt(), num_layers=4, decay_rate=0.5, decay_type='stage_wise')
    assert [rates[f'backbone.stages.{i}.0.weight'][0] for i in range(4)] == [0.5**4, 0.5**3, 0.5**2, 0.5]


def test_unknown_backbone():
    with pytest.raises(NotImplementedError, match='backbone Linear'):
        _rates(LearningRateDecayOptimizerConstructor, nn.Linear(1, 1), num_layers=1, decay_rate=0.5)


@pytest.mark.parametrize('kind', ['BEiT', 'VisionTransformer'])
def test_real_transformers(kind):
    backbone = MODELS.build(
        dict(type=kind, img_size=32, embed_dims=8, num_layers=3, num_heads=2, final_norm=True)
    )
    rates = _rates(LearningRateDecayOptimizerConstructor, backbone, num_layers=3, decay_rate=0.5)
    # embedding 0.5 ** 4, blocks 0.5 ** 3 to 0.5 ** 1, the norm after them and the head 1
    assert rates['backbone.cls_token'][0] == rates['backbone.patch_embed.projection.weight'][0] == 0.5**4
    assert [rates[f'backbone.layers.{i}.ln1.weight'] for i in range(3)] == [
        (0.125, 0.0),
        (0.25, 0.0),
        (0.5, 0.0),
    ]
    assert rates['backbone.layers.1.ffn.layers.1.weight'] == (0.25, 0.05)
    assert rates['backbone.ln1.weight'] == (1.0, 0.0)
    assert set(rates) == {name for name, _ in _Segmentor(backbone).named_parameters()}
