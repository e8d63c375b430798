"""Shrink an experiment to a trial of a few iterations."""

from mmengine.config import Config, ConfigDict

from .from_scratch import drop_pretrained
from .walk import config_dicts, dataset_configs

_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_SIZE_KEYS = ('crop_size', 'scale', 'size', 'pad_size', 'img_scale', 'scales')


def _shrink_pipeline(pipeline: list, side: int) -> None:
    for transform in config_dicts(pipeline):
        for key in _SIZE_KEYS:
            value = transform.get(key)
            if key == 'scales' and isinstance(value, (list, tuple)):
                transform[key] = [(side, side)] * len(value)
            elif isinstance(value, (list, tuple)) and len(value) == 2:
                transform[key] = (side, side)
            elif isinstance(value, int) and not isinstance(value, bool):
                transform[key] = side


def _shrink_whole_images(pipeline: list, side: int) -> None:
    """Scale the images of a test pipeline to ``side``, also of one that keeps their size or scales by a factor."""
    steps = [step for step in pipeline if step['type'] == 'Resize']
    for step in steps:
        if step.pop('scale_factor', None) is not None:
            step['scale'] = (side, side)
    if not steps and pipeline and pipeline[0]['type'] == 'LoadImageFromFile':
        pipeline.insert(1, dict(type='Resize', scale=(side, side), keep_ratio=True))


def _shrink_data(cfg: Config, side: int, batch_size: int, samples: int) -> None:
    for name in _DATALOADERS:
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.update(num_workers=0, persistent_workers=False)
        for key in ('prefetch_factor', 'multiprocessing_context'):
            loader.pop(key, None)
        if name == 'train_dataloader':
            loader.batch_size = batch_size
        for dataset in dataset_configs(loader.dataset):
            if 'pipeline' in dataset:
                _shrink_pipeline(dataset.pipeline, side)
                if name != 'train_dataloader':
                    _shrink_whole_images(dataset.pipeline, side)
            if not {'dataset', 'datasets'} & set(dataset):
                dataset.indices = samples
    if 'tta_pipeline' in cfg:
        _shrink_pipeline(cfg.tta_pipeline, side)


def _shrink_model(cfg: Config, side: int) -> None:
    model = cfg.model
    # the preprocessor may also be at the top level of the config, where the runner reads it
    for preprocessor in (model.get('data_preprocessor'), cfg.get('data_preprocessor')):
        if preprocessor and preprocessor.get('size') is not None:
            preprocessor.size = (side, side)
        padding = (preprocessor or {}).get('test_cfg') or {}
        if padding.get('size_divisor', 0) > side:
            padding.size_divisor = side
    for node in config_dicts(model):
        if 'img_size' in node:
            node['img_size'] = (side, side)
    test_cfg = model.get('test_cfg') or {}
    if 'crop_size' in test_cfg:
        test_cfg.update(crop_size=(side, side), stride=(side * 2 // 3, side * 2 // 3))


def _shrink_schedule(cfg: Config, iterations: int) -> None:
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
    ends = [scheduler.get('end', 0) for scheduler in cfg.get('param_scheduler') or []]
    for scheduler in cfg.get('param_scheduler') or []:
        for key in ('begin', 'end'):
            if key in scheduler:
                scheduler[key] = round(scheduler[key] * iterations / max(ends))
        scheduler.pop('convert_to_iter_based', None)
        scheduler.by_epoch = False
    # schedulers that shrank to nothing are removed
    cfg.param_scheduler = [s for s in cfg.get('param_scheduler') or [] if s.get('end', 1) > s.get('begin', 0)]
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.setdefault('logger', ConfigDict(type='LoggerHook', log_metric_by_epoch=False)).interval = 1
    checkpoint = hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook'))
    checkpoint.update(by_epoch=False, interval=iterations)


def shrink(cfg: Config, iterations: int = 4, side: int = 64, batch_size: int = 2, samples: int = 8) -> Config:
    """Turn an experiment, in place, into a trial of a few iterations of small images; returns ``cfg``.

    The model keeps its architecture and starts from scratch. Images, crops and windows become square; each
    dataset is reduced to its first samples; data is loaded in the training process; every iteration is logged;
    validation and checkpoint follow the last iteration.

    Args:
        cfg: a whole experiment's config.
        iterations: how many to train.
        side: images' height and width.
        batch_size: of training; at least 2, since batch norm after global pooling needs two values.
        samples: of each dataset.
    """
    if batch_size < 2:
        raise ValueError(f'batch_size={batch_size}; batch norm after global pooling needs at least 2')
    drop_pretrained(cfg)
    _shrink_data(cfg, side, batch_size, samples)
    _shrink_model(cfg, side)
    _shrink_schedule(cfg, iterations)
    cfg.smoke = True  # recorded with the run
    return cfg
