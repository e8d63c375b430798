"""Configs changed by the flags of training and test."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .config_errors import config_errors, refuse_circles
from .config_file import read_config
from .config_keys import check_options, name_evaluators
from .optimizer_config import refuse_merged_optimizer

#: Endings of config files that mmengine reads.
CONFIG_SUFFIXES = ('.py', '.yaml', '.yml', '.json')


def load_config(
    path: str | Path,
    cfg_options: dict[str, Any] | None = None,
    *,
    launcher: str = 'none',
    local_rank: int = 0,
    work_dir: str | None = None,
) -> Config:
    """The config file with the options of a command line in it.

    Args:
        path: of the config.
        cfg_options: values by dotted key that replace those of the file.
        launcher: what started the processes of a distributed run: none, pytorch, slurm or mpi.
        local_rank: number of this process on its machine, where the launcher does not set LOCAL_RANK.
        work_dir: folder of logs and checkpoints; None: that of the config, else ``work_dirs/<name of the config>``.

    Raises:
        FileNotFoundError: no such config.
        ValueError: the config can not be used, or an option is unknown or has no effect.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such config; the ones of this project are in configs/')
    if path.suffix not in CONFIG_SUFFIXES:
        raise ValueError(f'{path}: ends in {path.suffix!r}, expected a config: {", ".join(CONFIG_SUFFIXES)}')
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    refuse_circles(path)
    with config_errors(path, 'read'):
        cfg = read_config(path)
        refuse_merged_optimizer(path, cfg)
    if cfg_options:
        cfg_options = name_evaluators(cfg, cfg_options)
        check_options(cfg, cfg_options)
        with config_errors(f'--cfg-options of {path}', 'merged'):
            cfg.merge_from_dict(cfg_options)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(f'{path}: model is missing, expected the config of an experiment; see configs/')
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / path.stem)
    return cfg


def enable_amp(cfg: Config) -> Config:
    """Train in mixed precision: float16 on the GPU, bfloat16 on the CPU. In place; returns ``cfg``.

    Raises:
        ValueError: an optimizer wrapper that mixed precision can not replace.
    """
    kind = cfg.optim_wrapper.setdefault('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(
            f"--amp needs optim_wrapper.type='OptimWrapper', got {kind!r}; set up mixed precision there"
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def enable_tta(cfg: Config) -> Config:
    """Test with augmented copies of each image. In place; returns ``cfg``.

    Raises:
        ValueError: the config has no ``tta_model`` or no ``tta_pipeline``.
    """
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise ValueError(
            f'--tta: the config lacks {" and ".join(missing)}; see configs/_base_/datasets/wta_512.py'
        )
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model
    return cfg


def draw_predictions(
    cfg: Config, show: bool = False, wait_time: float = 2, show_dir: str | None = None
) -> Config:
    """Draw every tested image, in a window or into ``show_dir/vis_data/vis_image``. In place; returns ``cfg``.

    Raises:
        ValueError: ``default_hooks`` has no ``visualization``.
    """
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            "--show and --show-dir need default_hooks.visualization=dict(type='SegVisualizationHook') in the config"
        )
    cfg.default_hooks.visualization.update(draw=True, interval=1)
    if show:
        cfg.default_hooks.visualization.update(show=True, wait_time=wait_time)
    if show_dir:
        fallback = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
        cfg.visualizer = {**(cfg.get('visualizer') or fallback), 'save_dir': show_dir}
    return cfg


def write_predictions(cfg: Config, folder: str) -> Config:
    """Make the test's evaluators also write predictions to ``folder``. In place; returns ``cfg``."""
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    for evaluator in evaluators:
        if evaluator['type'] != 'InspectionMetric':  # which writes none
            evaluator.output_dir = folder
    return cfg


def set_false_alarms(cfg: Config, split: str, number: float) -> Config:
    """Set the false alarms per image and class of a split's ``InspectionMetric``. In place; returns ``cfg``.

    Args:
        cfg: of an experiment.
        split: ``'val'``, where the operating point is chosen, or ``'test'``, where it is applied.
        number: from 0.

    Raises:
        ValueError: ``number`` is negative, or the split has no such metric.
    """
    if not number >= 0:
        raise ValueError(f'--false-alarms: {number:g}; expected a number per image from 0')
    evaluators = cfg.get(f'{split}_evaluator') or []
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    metrics = [one for one in evaluators if str(one['type']).rpartition('.')[2] == 'InspectionMetric']
    if not metrics:
        example = "dict(type='InspectionMetric'" + (
            ', choose_operating_point=True)' if split == 'val' else ')'
        )
        raise ValueError(
            f'--false-alarms: {split}_evaluator has no InspectionMetric; expected {example} in it'
        )
    for metric in metrics:
        metric['false_alarms'] = number
    return cfg


#: What can record a run beside the log, by the name of its package: the backend of the visualizer.
TRACKERS = {'tensorboard': 'TensorboardVisBackend', 'wandb': 'WandbVisBackend'}


def track(cfg: Config, tracker: str) -> Config:
    """Also record losses and metrics with TensorBoard or Weights & Biases. In place; returns ``cfg``.

    Args:
        cfg: of a run, with its ``work_dir``.
        tracker: a key of :data:`TRACKERS`.

    Raises:
        ValueError: its package is not installed.
    """
    if importlib.util.find_spec(tracker) is None:
        raise ValueError(f'--{tracker}: {tracker} is not installed; pip install "wta-seg[tracking]"')
    visualizer = cfg.get('visualizer') or dict(
        type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
    )
    backends = list(visualizer.get('vis_backends') or ())
    if all(backend['type'] != TRACKERS[tracker] for backend in backends):
        backend = dict(type=TRACKERS[tracker])
        if tracker == 'wandb':
            backend['init_kwargs'] = dict(project='wta-seg', name=Path(cfg.work_dir).name)
        backends.append(backend)
    cfg.visualizer = {**visualizer, 'vis_backends': backends}
    return cfg


def stop_early(cfg: Config, patience: int) -> Config:
    """End the training after ``patience`` validations without a better foreground mIoU. In place; returns ``cfg``.

    Raises:
        ValueError: ``patience`` is below 1, or the config has no validation.
    """
    if patience < 1:
        raise ValueError(f'--early-stop: {patience}; expected a number of validations from 1')
    if not cfg.get('val_dataloader') or not cfg.get('val_cfg'):
        raise ValueError(
            '--early-stop: the config has no validation to watch; it needs val_dataloader and val_cfg'
        )
    cfg.custom_hooks = [
        *(cfg.get('custom_hooks') or ()),
        dict(type='EarlyStoppingHook', patience=patience),
    ]
    return cfg
