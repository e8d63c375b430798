"""What a row of a study changes in an experiment's config: the loss, the data, the sampling, the length.

Every function changes a config in place; those without further arguments, and what :func:`use_loss` and
:func:`train_on` return, are overrides of an :class:`~wtaseg.studies.spec.Experiment`.
"""

from pathlib import Path

from mmengine.config import Config

from mmseg.utils.loss_config import model_heads, set_loss
from wtaseg.runs import layout
from wtaseg.studies.spec import Override

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# of 512 x 512 = 262,144 pixels; a blade image has about 600 of defects
OHEM_MIN_KEPT = 1000
OHEM_THRESHOLD = 0.7


# --------------------------------------------------------------------------- losses


def read_loss(name: str) -> list[dict]:
    """The losses of ``configs/_base_/losses/<name>.py``, there called ``<name>_loss``."""
    loss = Config.fromfile(layout.config_root() / f'_base_/losses/{name}.py')[f'{name}_loss']
    return [dict(part) for part in (loss if isinstance(loss, list) else [loss])]


def use_loss(name: str, **arguments) -> Override:
    """The losses of ``configs/_base_/losses/<name>.py``, some of their arguments replaced."""

    def override(cfg: Config) -> None:
        set_loss(cfg.model, [{**loss, **arguments} for loss in read_loss(name)])

    return override


def enet_weights(cfg: Config) -> None:
    """Cross entropy with ENet's class weights, counted from the training labels."""
    set_loss(cfg.model, read_loss('enet_cross_entropy'))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='ClassWeightHook')]


def ohem(cfg: Config) -> None:
    """Cross entropy over the hard pixels alone."""
    set_loss(cfg.model, read_loss('cross_entropy'))
    for head in model_heads(cfg.model):
        head['sampler'] = dict(type='OHEMPixelSampler', thresh=OHEM_THRESHOLD, min_kept=OHEM_MIN_KEPT)


# --------------------------------------------------------------------------- data and length


def set_data(cfg: Config, data: Path) -> None:
    """Read every split from ``data``."""
    for name in LOADERS:
        cfg[name].dataset.data_root = str(data)


def train_on(root: Path, word: str = '', names: Path | None = None) -> Override:
    """Train on the images of another dataset; validation and test stay with the original ones.

    Args:
        root: the dataset, original images and edited ones.
        word: of the edits; ``''``: several or unknown.
        names: file that lists the images to use; default: all.
    """

    def override(cfg: Config) -> None:
        cfg.train_dataloader.dataset.data_root = str(root)
        cfg.augmentation = word
        if names is not None:
            cfg.train_dataloader.dataset.ann_file = str(names)

    return override


def save_counts(cfg: Config) -> None:
    """Have the test write the counts of each image, with an InspectionMetric where there is none."""
    evaluators = cfg.get('test_evaluator')
    evaluators = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    evaluators = [dict(evaluator) for evaluator in evaluators if evaluator]
    inspections = [evaluator for evaluator in evaluators if evaluator['type'] == 'InspectionMetric']
    if not inspections:
        inspections = [dict(type='InspectionMetric')]
        evaluators += inspections
    for evaluator in inspections:
        evaluator['save_counts'] = True
    cfg.test_evaluator = evaluators


def set_iterations(cfg: Config, iterations: int, validations: int) -> None:
    """Set the length of the training and how often it is validated; the learning rate's schedule is scaled.

    Raises:
        ValueError: the config counts epochs.
    """
    before = cfg.train_cfg.get('max_iters')
    if not before:
        raise ValueError(f'--iters: {cfg.filename} counts epochs; expected train_cfg.max_iters')
    interval = max(1, iterations // validations)
    cfg.train_cfg.update(max_iters=iterations, val_interval=interval)
    schedulers = []
    for scheduler in cfg.get('param_scheduler') or []:
        scaled = {
            key: round(scheduler[key] * iterations / before) for key in ('begin', 'end') if key in scheduler
        }
        scheduler.update(scaled)
        # a warm-up of less than one iteration is left out
        if scheduler.get('end', 1) > scheduler.get('begin', 0):
            schedulers.append(scheduler)
    cfg.param_scheduler = schedulers
    hooks = cfg.default_hooks
    hooks.checkpoint.interval = interval
    hooks.logger.interval = max(1, min(hooks.logger.get('interval', 10), interval))


def set_workers(cfg: Config, workers: int) -> None:
    """Set the processes of every data loader; 0 loads in the training process."""
    for name in LOADERS:
        cfg[name].update(num_workers=workers, persistent_workers=workers > 0)


# --------------------------------------------------------------------------- rare classes


def rare_class_sampling(cfg: Config) -> None:
    """Half of the images drawn by the classes they hold, cropped around a defect of that class.

    Raises:
        ValueError: the training pipeline has no RandomCrop.
    """
    loader = cfg.train_dataloader
    crops = [step for step in loader.dataset.pipeline if step['type'] == 'RandomCrop']
    if not crops:
        raise ValueError(f'{cfg.filename}: rare-class sampling replaces RandomCrop, which the pipeline lacks')
    crops[0]['type'] = 'RareClassCrop'
    loader.dataset = dict(type='RareClassDataset', dataset=loader.dataset)


def copy_paste(cfg: Config) -> None:
    """Defects of other training images pasted into every second image, right after loading."""
    loader = cfg.train_dataloader
    pipeline = loader.dataset.pipeline
    loaded = 1 + max(i for i, step in enumerate(pipeline) if step['type'].startswith('Load'))
    inner = {**loader.dataset, 'pipeline': pipeline[:loaded]}
    outer = [dict(type='CopyPasteDefects', prob=0.5), *pipeline[loaded:]]
    loader.dataset = dict(type='MultiImageMixDataset', dataset=inner, pipeline=outer)
