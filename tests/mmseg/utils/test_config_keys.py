"""Options without an effect are refused, with the nearest that have one."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg.utils.config_keys import check_options

ROOT = Path(__file__).resolve().parents[3]
EXPERIMENT = ROOT / 'configs/fastscnn/fast_scnn_4xb4-40k_wta-512x512.py'


@pytest.fixture(scope='module')
def config() -> Config:
    return Config.fromfile(EXPERIMENT)


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('data_root', r'data_root has no effect.*train_dataloader\.dataset\.data_root.*--data DIR'),
        ('optimizer.lr', r'optimizer\.lr has no effect.*; nearest: optim_wrapper\.optimizer\.lr'),
        ('crop_size', r'crop_size has no effect.*train_dataloader\.dataset\.pipeline\.3\.crop_size'),
        ('train_dataloader.batchsize', r'unknown; nearest: train_dataloader\.batch_size'),
        ('train_dataloader.dataset.dataroot', r'unknown; nearest: train_dataloader\.dataset\.data_root'),
        ('optim_wrapper.optimizer.learning_rate', r'learning_rate is unknown'),
        ('optim_wrapper.lr', r'unknown; nearest: optim_wrapper\.optimizer\.lr'),
        ('train_cfg.max_iter', r'unknown; nearest: train_cfg\.max_iters'),
        ('default_hooks.checkpiont.interval', r'unknown; nearest: default_hooks\.checkpoint'),
        ('default_hooks.checkpoint.savebest', r'unknown; nearest: default_hooks\.checkpoint\.save_best'),
        ('model.decode_head.loss_decode.gama', r'unknown; nearest: model\.decode_head\.loss_decode\.gamma'),
        ('model.decode_heads.num_classes', r'unknown; nearest: model\.decode_head'),
        ('train_dataloader.dataset.pipeline.30.scale', r'is unknown'),
        ('batch_size', r'unknown; nearest: train_dataloader\.batch_size'),
        ('randomness.sed', r'unknown; nearest: randomness\.seed'),
    ],
)
def test_an_option_without_effect_names_the_nearest(config, key, message):
    if key.startswith('randomness'):
        config = Config({**config.to_dict(), 'randomness': dict(seed=1)})
    with pytest.raises(ValueError, match=message):
        check_options(config, {key: 1})


@pytest.mark.parametrize(
    'key',
    [
        'randomness.seed',
        'work_dir',
        'compile',
        'experiment_name',
        'model.decode_head.loss_decode.gamma',
        'model.backbone.init_cfg',
        'model.test_cfg.stride',
        'train_dataloader.num_workers',
        'train_dataloader.prefetch_factor',
        'train_dataloader.dataset.indices',
        'train_dataloader.dataset.metainfo.classes',
        'train_dataloader.dataset.pipeline.3.crop_size',
        'train_dataloader.sampler.seed',
        'default_hooks.checkpoint.subfolder',
        'default_hooks.checkpoint.max_keep_ckpts',
        'default_hooks.logger.type',
        'default_hooks.val_loss',
        'optim_wrapper.optimizer.lr',
        'optim_wrapper.clip_grad.max_norm',
        'optim_wrapper.paramwise_cfg',
        'optim_wrapper.accumulative_counts',
        'param_scheduler.1.power',
        'param_scheduler.0.verbose',
        'val_evaluator.iou_metrics',
        'test_evaluator.output_dir',
        'env_cfg.dist_cfg.backend',
        'visualizer.alpha',
        'log_level',
    ],
)
def test_options_with_an_effect_are_taken(config, key):
    check_options(config, {key: 1})


def test_code_of_the_users_own_may_read_any_key(config):
    check_options(
        Config({**config.to_dict(), 'custom_imports': dict(imports=['mine']), 'mine': 1}), {'mine': 2}
    )
