"""Configs changed by flags of the training alone: averaged weights, accumulated gradients, frozen layers, first weights."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmseg.datasets.normal_images import check_share

from .from_scratch import drop_pretrained
from .walk import dataset_configs


def average_weights(cfg: Config) -> Config:
    """Average the weights with :class:`mmseg.engine.WarmUpEMA`, unless the config averages them already.

    In place; returns ``cfg``.
    """
    hooks = list(cfg.get('custom_hooks') or ())
    if all(str(hook['type']).rpartition('.')[2] != 'EMAHook' for hook in hooks):
        hooks.append(dict(type='EMAHook', ema_type='WarmUpEMA'))
    cfg.custom_hooks = hooks
    return cfg


def accumulate_gradients(cfg: Config, count: int) -> Config:
    """Update the weights once in ``count`` iterations, with the mean of their gradients. In place; returns ``cfg``.

    Raises:
        ValueError: ``count`` is below 1, or the optimizer wrapper is one of several.
    """
    if count < 1:
        raise ValueError(f'--accumulate: {count}; expected a number of batches from 1')
    kind = cfg.optim_wrapper.setdefault('type', 'OptimWrapper')
    if kind == 'OptimWrapperDict':
        raise ValueError(
            '--accumulate: the config has several optimizers; set accumulative_counts of each in it'
        )
    cfg.optim_wrapper.accumulative_counts = count
    return cfg


def set_training_step(cfg: Config, **options) -> Config:
    """Change ``training_step`` of a config, see :class:`mmseg.engine.captured.StepSettings`. In place; returns ``cfg``.

    Raises:
        ValueError: float32 for a config that sets up mixed precision.
    """
    kind = str((cfg.get('optim_wrapper') or {}).get('type'))
    if options.get('dtype') == 'float32' and kind.rpartition('.')[2] == 'AmpOptimWrapper':
        raise ValueError(
            '--fp32: the training is one of mixed precision (AmpOptimWrapper); leave out --amp or --fp32'
        )
    cfg.training_step = {**(cfg.get('training_step') or {}), **options}
    return cfg


def freeze(cfg: Config, patterns: Sequence[str]) -> Config:
    """Freeze these modules beside those that the config freezes. In place; returns ``cfg``."""
    before = cfg.get('frozen_layers') or ()
    cfg.frozen_layers = [*([before] if isinstance(before, str) else before), *patterns]
    return cfg


def init_from(cfg: Config, checkpoint: str) -> Config:
    """Begin a training with the weights of a checkpoint in place of pretrained ones. In place; returns ``cfg``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the config loads another checkpoint.
    """
    if '://' not in checkpoint and not Path(checkpoint).expanduser().is_file():
        raise FileNotFoundError(f'--init-from: {checkpoint} does not exist; expected a checkpoint')
    if cfg.get('load_from'):
        raise ValueError(
            f'--init-from: the config loads {cfg.load_from} already; leave one out (--cfg-options load_from=None)'
        )
    drop_pretrained(cfg)
    cfg.init_from = str(checkpoint)
    return cfg


def add_normal_images(cfg: Config, folder: str | Path, share: float | None = None) -> Config:
    """Train on images without labels as well, as class 0 all over. In place; returns ``cfg``.

    Args:
        cfg: of an experiment that trains on one ``BaseSegDataset``, in wrappers or not.
        folder: of the images.
        share: largest share of them in all training images; None: that of the config, or half.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the share is out of its range, or the experiment trains on several datasets.
    """
    if share is not None:
        check_share(share, '--normal-share')
    if not Path(folder).is_dir():
        raise FileNotFoundError(f'--normal-images: {folder} is not a folder; expected images without defects')
    leaves = [
        dataset
        for dataset in dataset_configs(cfg.train_dataloader.dataset)
        if not {'dataset', 'datasets'} & set(dataset)
    ]
    if len(leaves) > 1:
        raise ValueError(
            f'--normal-images: the training joins {len(leaves)} datasets; set data_prefix.normal_path of one of them '
            'in the config'
        )
    # absolute: it does not count from data_root
    leaves[0].data_prefix = {
        **(leaves[0].get('data_prefix') or {}),
        'normal_path': str(Path(folder).resolve()),
    }
    if share is not None:
        leaves[0].max_normal_share = share
    return cfg
