"""Frozen layers: their weights, their statistics, and patterns that are wrong."""

import pytest
import torch
from torch import nn

from mmseg.engine import build_runner
from mmseg.engine.freezing import freeze_layers
from mmseg.utils import training_config

BN = dict(type='BN', _delete_=True)
WITH_BN = {
    'model.backbone.norm_cfg': BN,
    'model.decode_head.norm_cfg': BN,
    'val_dataloader.dataset.indices': 1,
}


def _frozen_training(experiment, *patterns, **options):
    cfg = training_config.freeze(experiment(**WITH_BN | options), patterns)
    runner = build_runner(cfg)
    before = {}
    run = runner.train_loop.run

    def record():  # the weights are initialised by now
        before.update({key: value.clone() for key, value in runner.model.state_dict().items()})
        run()

    runner.train_loop.run = record
    runner.train()
    after = runner.model.state_dict()
    return runner, {key for key in after if not torch.equal(before[key], after[key])}


def test_frozen_weights_and_statistics_stay(experiment, capsys):
    runner, changed = _frozen_training(experiment, 'backbone')
    assert changed and all(key.startswith('decode_head') for key in changed)
    assert 'decode_head.convs.0.bn.running_mean' in changed
    count = sum(parameter.numel() for parameter in runner.model.backbone.parameters())
    total = sum(parameter.numel() for parameter in runner.model.parameters())
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in runner.model.backbone.modules())
    text = f'frozen: {count:,} of {total:,} parameters: backbone; {norms} norm layers keep their statistics'
    assert text in capsys.readouterr().out
    # the optimizer has no state of them
    assert len(runner.optim_wrapper.optimizer.state) == len(list(runner.model.decode_head.parameters()))


def test_a_part_is_frozen_by_its_name(experiment):
    _, changed = _frozen_training(
        experiment, 'backbone.learning_to_*', 'decode_head.convs.?.bn', **{'train_cfg.max_iters': 1}
    )
    assert not any(key.startswith(('backbone.learning_to_', 'decode_head.convs.0.bn')) for key in changed)
    assert {'backbone.feature_fusion', 'backbone.global_feature_extractor', 'decode_head.convs.0'} <= {
        '.'.join(key.split('.')[: 3 if key.startswith('decode') else 2]) for key in changed
    }


def test_norms_follow_their_patterns_and_parameters():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.BatchNorm2d(4, affine=False), nn.Conv2d(4, 2, 1)),
    )
    frozen = freeze_layers(model, ['1.weight', '1.bias', '2.0'])
    assert (frozen.frozen, frozen.total) == (8, 12 + 4 + 8 + 8 + 2)
    assert frozen.norms(model) == [model[1], model[2][0]]
    other = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert freeze_layers(other, ['1.weight']).norms(other) == []


def test_wrong_patterns_name_the_nearest(experiment):
    model = build_runner(experiment()).model
    with pytest.raises(ValueError, match=r"frozen_layers: 'backbon' matches no module.*nearest: backbone"):
        freeze_layers(model, ['decode_head', 'backbon'])
    with pytest.raises(
        ValueError, match=r"'xyz' matches no .*nearest: backbone, data_preprocessor, decode_head"
    ):
        freeze_layers(model, ['xyz'])
    with pytest.raises(ValueError, match=r"frozen_layers: '\*' matches all \d+ parameters"):
        freeze_layers(model, '*')
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_frozen_parts_of_config_and_flag_add_up(experiment):
    cfg = experiment()
    cfg.frozen_layers = 'backbone'
    assert training_config.freeze(cfg, ('decode_head.convs',)).frozen_layers == [
        'backbone',
        'decode_head.convs',
    ]
