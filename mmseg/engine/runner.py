"""mmengine's runner, extended: safe and atomic checkpoints, several CPU processes, compilation of the model."""

import datetime
import itertools
import logging
import os
import subprocess
from functools import partial
from pathlib import Path

import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from mmseg.datasets.transforms.decoded_cache import share_caches
from mmseg.evaluation.metric_names import rename_in_config
from mmseg.registry import RUNNERS, VISUALIZERS
from mmseg.utils.collect_env import torchvision_hidden
from mmseg.utils.config_errors import config_errors
from mmseg.utils.optimizer_config import check_optimizer
from mmseg.utils.walk import leaf_datasets

from .build_errors import NamedConfigErrors
from .captured import (
    StepSettings,
    install_training_step,
    join_processes,
    prepare_for_gpu,
    release_training_step,
)
from .freezing import FrozenLayers, freeze_layers
from .log_errors import report_unwritten_logs
from .run_settings import check_test_cfg, check_train_cfg
from .runner_checkpoints import RunnerCheckpoints
from .sole_training import sole_training
from .stop_signals import protect_workers

#: The method of a segmentor that maps tensors to losses, see ``BaseSegmentor.loss_tensors``.
CORE = 'loss_tensors'
#: Hooks of every run beside mmengine's: a check of the training files, the loss of validations, the operating point,
#: gradients that are accumulated over a checkpoint, frozen layers, buffers of several processes.
DEFAULT_HOOKS = {
    'check_dataset': 'mmseg.DatasetCheckHook',
    'val_loss': 'mmseg.ValLossHook',
    'operating_point': 'mmseg.OperatingPointHook',
    'accumulation': 'mmseg.GradientAccumulationHook',
    'freeze': 'mmseg.FreezeHook',
    'shared_buffers': 'mmseg.SharedBuffersHook',
}
#: Beginnings of mmengine's warnings about its own code, which a user can not act on.
_OF_MMENGINE = (
    'The prefix is not set in metric class',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the',
    'Resumed iteration number is not divisible',  # the accumulated gradients are in the checkpoint
)
# numbers the runners of this process
_RUNS = itertools.count()


def _launcher_environment(launcher: str) -> None:
    """Write what ``init_process_group`` reads, from what slurm or Open MPI give each process."""
    if launcher == 'mpi':
        names = ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK')
    elif launcher == 'slurm':
        names = ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID')
        if 'MASTER_ADDR' not in os.environ:
            command = ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']]
            hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            os.environ['MASTER_ADDR'] = hosts.split()[0]
    else:
        return
    for target, source in zip(('RANK', 'WORLD_SIZE', 'LOCAL_RANK'), names):
        os.environ[target] = os.environ[source]
    os.environ.setdefault('MASTER_PORT', '29500')


def _concerns_the_user(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_OF_MMENGINE)


@RUNNERS.register_module()
class SegRunner(RunnerCheckpoints, NamedConfigErrors, Runner):
    """mmengine's ``Runner``; the same arguments.

    Differences: checkpoints are read without unpickling and written atomically; ``resume=True`` takes the last
    complete checkpoint; several processes on the CPU communicate through gloo; SyncBN becomes BN where it can't
    run; ``compile`` compiles the model's :data:`CORE`; on a GPU the training step is captured in a CUDA graph; a broken
    torchvision is not imported; a second run in one process shares no state with the first.

    Keys of the config that mmengine does not know: ``frozen_layers`` (:func:`.freezing.freeze_layers`), ``init_from``
    (:func:`.initial_weights.load_initial_weights`), ``training_step`` (:class:`.captured.StepSettings`),
    ``allow_partial``, ``brief_console``.

    Attributes:
        frozen: what ``frozen_layers`` has frozen; None: nothing.
        only_tests: set to True before :meth:`test` for a model that is not trained afterwards: its batch norms are then
            folded into convolutions, see :func:`mmseg.models.utils.folding.prepare_for_inference`.
    """

    frozen: FrozenLayers | None = None
    only_tests = False

    def __init__(self, *args, **kwargs) -> None:
        for part in ('default_hooks', 'custom_hooks', 'param_scheduler'):
            rename_in_config(kwargs.get(part))
        check_train_cfg(kwargs.get('train_cfg'))
        check_test_cfg(kwargs.get('model'))
        check_optimizer(kwargs)
        StepSettings.from_config(kwargs.get('cfg') or {})
        run = next(_RUNS)
        if (
            run
        ):  # mmengine names hubs and loggers by the experiment, in which it distinguishes runs by the second
            cfg = kwargs.get('cfg')
            file = Path(getattr(cfg, 'filename', None) or 'run').stem
            kwargs['experiment_name'] = f'{kwargs.get("experiment_name") or file}_{run}'
        super().__init__(*args, **kwargs)

    def build_logger(self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs) -> MMLogger:
        """As mmengine's; with ``brief_console=True`` in the config the console shows warnings only.

        Environment, config and hooks, about 500 lines, then are in the log file alone. Who sets the key raises the
        level of the console again, see ``wtaseg.start_screen``.
        """
        logger = super().build_logger(log_level, log_file, **kwargs)
        report_unwritten_logs(logger)
        if self.cfg.get('brief_console'):
            for handler in logger.handlers:
                if type(handler) is logging.StreamHandler:
                    handler.setLevel(max(handler.level, logging.WARNING))
                    handler.addFilter(_concerns_the_user)
        return logger

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """A new visualizer, also where an earlier run of the process had one of the same name."""
        if isinstance(visualizer, dict) and 'name' in visualizer:
            kind = visualizer['type']
            kind = VISUALIZERS.get(kind) if isinstance(kind, str) else kind
            if kind.check_instance_created(visualizer['name']):
                visualizer = {**visualizer, 'name': f'{visualizer["name"]}_{self._experiment_name}'}
        return super().build_visualizer(visualizer)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """As mmengine's; the workers share the caches of decoded files, stop signals from outside do not end them."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        loader = protect_workers(Runner.build_dataloader(dataloader, seed, diff_rank_seed))
        if loader.num_workers:
            for dataset in leaf_datasets(loader.dataset):
                share_caches(getattr(dataset, 'pipeline', None))
        return loader

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register mmengine's default hooks and those of :data:`DEFAULT_HOOKS`.

        ``default_hooks=dict(val_loss=None)`` leaves one out; ``check_dataset=dict(type=…, limit=…)`` changes it.
        """
        hooks = {**{name: dict(type=kind) for name, kind in DEFAULT_HOOKS.items()}, **(hooks or {})}
        super().register_default_hooks(
            {name: hook for name, hook in hooks.items() if hook or name not in DEFAULT_HOOKS}
        )

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes; without a GPU they communicate through gloo, whatever ``dist_cfg.backend`` is."""
        if self.distributed and not is_distributed() and get_device() == 'cpu':
            _launcher_environment(self._launcher)
            timeout = env_cfg.get('dist_cfg', {}).get('timeout', 1800)
            torch_dist.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: torch.nn.Module) -> torch.nn.Module:
        """Freeze layers and move the model to its device.

        Of several processes, a model on a GPU is wrapped when its training begins (:func:`.captured.join_processes`),
        unless the config says with what. On the CPU it is wrapped here, without SyncBN, which runs on GPUs only.
        """
        if self.cfg.get('frozen_layers') and not isinstance(model, BaseTTAModel):
            with config_errors(self._config_name, 'used'):
                self.frozen = freeze_layers(model, self.cfg.frozen_layers)
        if not self.distributed or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        if get_device() != 'cpu':
            return (
                model.to(get_device())
                if model_wrapper_cfg is None
                else super().wrap_model(model_wrapper_cfg, model)
            )
        self.logger.info('SyncBN layers, if any, become BN: they can not run on the CPU.')
        wrapper = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False),
        )
        wrapper = {**wrapper, **model_wrapper_cfg} if model_wrapper_cfg else wrapper
        return MODEL_WRAPPERS.build(wrapper, default_args=dict(module=revert_sync_batchnorm(model)))

    def train(self) -> torch.nn.Module:
        """mmengine's method, with the work folder locked against a second training.

        Raises:
            FolderInUseError: another training is at work in it; names the process.
        """
        prepare_for_gpu(self)
        with sole_training(self.work_dir, self._checkpoint_folders()):
            try:
                return super().train()
            finally:
                release_training_step(self.model)

    def _maybe_compile(self, target: str) -> None:
        """Compile what the config says; then capture a training's step on a GPU, see :mod:`.captured`."""
        wrap = partial(super().wrap_model, None)
        exchange = join_processes(self, wrap) if target == 'train_step' else None
        self._compile(target)
        if target == 'train_step':
            install_training_step(self, exchange, wrap)

    def _compile(self, target: str) -> None:
        """``compile=True`` or ``compile=dict(target='loss_tensors', backend=…, mode=…)``.

        ``target`` is a method of the model. By default it is :data:`CORE`, a function of tensors only; for models
        without it, it is the training step, as in mmengine. ``mode='reduce-overhead'`` replays the core as a
        CUDA graph.
        """
        options = self.cfg.get('compile')
        if not options:
            return
        options = {} if options is True else dict(options)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        name = options.pop('target', CORE if hasattr(model, CORE) else target)
        if not hasattr(model, name):
            raise ValueError(
                f"compile.target={name!r}: {type(model).__name__} has no such method; expected '{CORE}'"
            )
        owner = self.model if name == target else model
        setattr(owner, name, torch.compile(getattr(owner, name), **options))
        self.logger.info(f'{name} is compiled in the first iterations, which take longer.')

    def _log_env(self, env_cfg: dict) -> None:
        with torchvision_hidden():
            super()._log_env(env_cfg)


def build_runner(cfg: Config) -> Runner:
    """The runner of a config: ``runner_type`` where it is given, else :class:`SegRunner`.

    Raises:
        ValueError: the config can not be used.
    """
    with config_errors(cfg.filename or 'the config', 'built', cfg):
        return RUNNERS.build(cfg) if 'runner_type' in cfg else SegRunner.from_cfg(cfg)
