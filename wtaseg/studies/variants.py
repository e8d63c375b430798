"""What a row of a study changes in an experiment's config: the loss, the data, the sampling, the length.

Every function changes a config in place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from wtaseg.runs.layout import ROOT

LOSSES = ROOT / 'configs/_base_/losses'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# of 512 x 512 = 262,144 pixels; a blade image holds about 600 of defects
OHEM_MIN_KEPT = 1000
OHEM_THRESHOLD = 0.7


def read_loss(name: str) -> list[dict]:
    """The losses of ``configs/_base_/losses/<name>.py``, there called ``<name>_loss``."""
    loss = Config.fromfile(LOSSES / f'{name}.py')[f'{name}_loss']
    return [dict(part) for part in (loss if isinstance(loss, list) else [loss])]


def heads(cfg: Config) -> Iterator[dict]:
    """Every decode head and auxiliary head of the model."""
    for key in ('decode_head', 'auxiliary_head'):
        part = cfg.model.get(key)
        if part:
            yield from part if isinstance(part, (list, tuple)) else [part]


def set_loss(cfg: Config, losses: Sequence[dict]) -> None:
    """These losses on every head, each weighted as much as the head's first loss was."""
    for head in heads(cfg):
        now = head.get('loss_decode') or {}
        share = (now[0] if isinstance(now, (list, tuple)) else now).get('loss_weight', 1.0)
        new = [{**loss, 'loss_weight': loss.get('loss_weight', 1.0) * share} for loss in losses]
        head['loss_decode'] = new if len(new) > 1 else new[0]


def use_loss(name: str, **changed):
    """A change: the losses of ``configs/_base_/losses/<name>.py``, some of their arguments replaced."""

    def change(cfg: Config) -> None:
        set_loss(cfg, [{**loss, **changed} for loss in read_loss(name)])

    return change


def enet_weights(cfg: Config) -> None:
    """Cross entropy with ENet's class weights, counted from the training labels."""
    set_loss(cfg, read_loss('enet_cross_entropy'))
    _add_hook(cfg, dict(type='ClassWeightHook'))


def ohem(cfg: Config) -> None:
    """Cross entropy over the hard pixels alone."""
    set_loss(cfg, read_loss('cross_entropy'))
    for head in heads(cfg):
        head['sampler'] = dict(type='OHEMPixelSampler', thresh=OHEM_THRESHOLD, min_kept=OHEM_MIN_KEPT)


def _add_hook(cfg: Config, hook: dict) -> None:
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


# --------------------------------------------------------------------------- data and length


def set_data(cfg: Config, data: Path) -> None:
    """Read every split from ``data``."""
    for name in LOADERS:
        cfg[name].dataset.data_root = str(data)


def train_on(root: Path, names: Path | None = None):
    """A change: train on the images of another data set, or on those that the file ``names`` lists.

    Validation and test stay with the original images, so that all rows are tested on the same ones.
    """

    def change(cfg: Config) -> None:
        cfg.train_dataloader.dataset.data_root = str(root)
        if names is not None:
            cfg.train_dataloader.dataset.ann_file = str(names)

    return change


def set_iterations(cfg: Config, iterations: int, validations: int) -> None:
    """Train so long, with so many validations, the schedule of the learning rate scaled to it.

    Raises:
        ValueError: the config counts epochs.
    """
    before = cfg.train_cfg.get('max_iters')
    if not before:
        raise ValueError(f'--iters: {cfg.filename} counts epochs; expected train_cfg.max_iters')
    every = max(1, iterations // validations)
    cfg.train_cfg.update(max_iters=iterations, val_interval=every)
    schedulers = []
    for scheduler in cfg.get('param_scheduler') or []:
        scaled = {
            key: round(scheduler[key] * iterations / before) for key in ('begin', 'end') if key in scheduler
        }
        scheduler.update(scaled)
        # a warm-up of less than one iteration is none
        if scheduler.get('end', 1) > scheduler.get('begin', 0):
            schedulers.append(scheduler)
    cfg.param_scheduler = schedulers
    hooks = cfg.default_hooks
    hooks.checkpoint.interval = every
    hooks.logger.interval = max(1, min(hooks.logger.get('interval', 10), every))


def set_workers(cfg: Config, workers: int) -> None:
    """So many processes a data loader; 0 loads in the training process."""
    for name in LOADERS:
        cfg[name].update(num_workers=workers, persistent_workers=workers > 0)


# --------------------------------------------------------------------------- rare classes


def rare_class_sampling(cfg: Config) -> None:
    """Half of the images drawn by the classes they hold, cropped around a defect of that class."""
    loader = cfg.train_dataloader
    for transform in _pipeline(cfg):
        if transform['type'] == 'RandomCrop':
            transform['type'] = 'RareClassCrop'
            break
    else:
        raise ValueError(
            f'{cfg.filename}: rare-class sampling takes the place of RandomCrop, which is missing'
        )
    loader.dataset = dict(type='RareClassDataset', dataset=loader.dataset)


def copy_paste(cfg: Config) -> None:
    """Defects of other training images pasted into every second image, right after loading."""
    loader = cfg.train_dataloader
    pipeline = _pipeline(cfg)
    loaded = 1 + max(i for i, step in enumerate(pipeline) if step['type'].startswith('Load'))
    inner = {**loader.dataset, 'pipeline': pipeline[:loaded]}
    outer = [dict(type='CopyPasteDefects', prob=0.5), *pipeline[loaded:]]
    loader.dataset = dict(type='MultiImageMixDataset', dataset=inner, pipeline=outer)


def _pipeline(cfg: Config) -> list[dict]:
    return cfg.train_dataloader.dataset.pipeline
