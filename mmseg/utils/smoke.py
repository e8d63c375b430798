"""Any experiment, small enough to try on a laptop."""

from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_SIZE_KEYS = ('crop_size', 'scale', 'size', 'pad_size', 'img_scale', 'scales')


def _walk(node: Any) -> Iterator[dict]:
    """Every dict inside a config, outer before inner."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _walk(item)


def drop_pretrained(cfg: Config) -> Config:
    """Take out, in place, every checkpoint that training would start from; returns ``cfg``.

    These are ``load_from``, ``pretrained`` anywhere in the model and ``init_cfg`` of type ``Pretrained``.
    """
    cfg.load_from = None
    for node in _walk(cfg.model):
        if node.get('pretrained'):
            node['pretrained'] = None if isinstance(node['pretrained'], str) else False
        init_cfg = node.get('init_cfg')
        inits = init_cfg if isinstance(init_cfg, list) else [init_cfg]
        kept = [init for init in inits if not (isinstance(init, dict) and init.get('type') == 'Pretrained')]
        if len(kept) < len(inits):
            node['init_cfg'] = kept or None
    return cfg


def _shrink_pipeline(pipeline: list, side: int) -> None:
    for transform in _walk(pipeline):
        for key in _SIZE_KEYS:
            value = transform.get(key)
            if key == 'scales' and isinstance(value, (list, tuple)):
                transform[key] = [(side, side)] * len(value)
            elif isinstance(value, (list, tuple)) and len(value) == 2:
                transform[key] = (side, side)
            elif isinstance(value, int) and not isinstance(value, bool):
                transform[key] = side


def _map_datasets(dataset: ConfigDict, change: Callable[[ConfigDict], None]) -> None:
    """Call ``change`` for a dataset and those that it concatenates or repeats."""
    change(dataset)
    inner = dataset.get('datasets', dataset.get('dataset'))
    for item in inner if isinstance(inner, list) else [inner]:
        if isinstance(item, dict):
            _map_datasets(item, change)


def _shrink_data(cfg: Config, side: int, batch_size: int, samples: int) -> None:
    def shrink_dataset(dataset: ConfigDict) -> None:
        if 'pipeline' in dataset:
            _shrink_pipeline(dataset.pipeline, side)
        if not {'dataset', 'datasets'} & set(dataset):
            dataset.indices = samples

    for name in _DATALOADERS:
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.update(num_workers=0, persistent_workers=False)
        for key in ('prefetch_factor', 'multiprocessing_context'):
            loader.pop(key, None)
        if name == 'train_dataloader':
            loader.batch_size = batch_size
        _map_datasets(loader.dataset, shrink_dataset)
    if 'tta_pipeline' in cfg:
        _shrink_pipeline(cfg.tta_pipeline, side)


def _shrink_model(cfg: Config, side: int) -> None:
    model = cfg.model
    # a config may leave the preprocessor at the top, where the runner looks for it, too
    for preprocessor in (model.get('data_preprocessor'), cfg.get('data_preprocessor')):
        if preprocessor and preprocessor.get('size') is not None:
            preprocessor.size = (side, side)
        padding = (preprocessor or {}).get('test_cfg') or {}
        if padding.get('size_divisor', 0) > side:
            padding.size_divisor = side
    for node in _walk(model):
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
    # what had a length of its own before must keep at least one step
    cfg.param_scheduler = [s for s in cfg.get('param_scheduler') or [] if s.get('end', 1) > s.get('begin', 0)]
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.setdefault('logger', ConfigDict(type='LoggerHook', log_metric_by_epoch=False)).interval = 1
    checkpoint = hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook'))
    checkpoint.update(by_epoch=False, interval=iterations)


def shrink(cfg: Config, iterations: int = 4, side: int = 64, batch_size: int = 2, samples: int = 8) -> Config:
    """Turn an experiment, in place, into a trial of a few iterations of small images; returns ``cfg``.

    The model keeps its architecture and starts from scratch. Images, crops and windows become square; each
    dataset is cut to its first samples; data is loaded in the training process; everything is logged; one
    validation and one checkpoint come at the end.

    Args:
        cfg: a whole experiment's config.
        iterations: how many to train.
        side: images' height and width.
        batch_size: of training; at least 2, since batch norm behind a global pooling needs two values.
        samples: of each dataset.
    """
    if batch_size < 2:
        raise ValueError(f'batch_size={batch_size}; batch norm behind a global pooling needs at least 2')
    drop_pretrained(cfg)
    _shrink_data(cfg, side, batch_size, samples)
    _shrink_model(cfg, side)
    _shrink_schedule(cfg, iterations)
    return cfg
