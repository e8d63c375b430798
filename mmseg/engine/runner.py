"""mmengine's runner, extended: safe and atomic checkpoints, several CPU processes, compilation of the model."""

import datetime
import itertools
import logging
import os
import subprocess
from pathlib import Path

import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import broadcast_object_list, is_distributed, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from mmseg.evaluation.metric_names import rename_in_config
from mmseg.registry import RUNNERS, VISUALIZERS
from mmseg.utils.checkpoint_reading import BrokenCheckpointError
from mmseg.utils.collect_env import torchvision_hidden
from mmseg.utils.config_errors import config_errors
from mmseg.utils.files import atomic_path
from mmseg.utils.optimizer_config import check_optimizer

from .build_errors import NamedConfigErrors
from .checkpoint_files import find_last_whole_checkpoint
from .checkpoint_loading import load_checkpoint_into, read_checkpoint
from .run_settings import check_train_cfg
from .sole_training import sole_training
from .stop_signals import protect_workers

#: The method of a segmentor that maps tensors to losses, see ``BaseSegmentor.loss_tensors``.
CORE = 'loss_tensors'
#: Hooks of every run beside mmengine's: a check of the training files, the loss of validations, the operating point.
DEFAULT_HOOKS = {
    'check_dataset': 'mmseg.DatasetCheckHook',
    'val_loss': 'mmseg.ValLossHook',
    'operating_point': 'mmseg.OperatingPointHook',
}
#: Beginnings of mmengine's warnings about its own code, which a user can not act on.
_OF_MMENGINE = (
    'The prefix is not set in metric class',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the',
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
class SegRunner(NamedConfigErrors, Runner):
    """mmengine's ``Runner``; the same arguments.

    Differences: checkpoints are read without unpickling and written atomically; ``resume=True`` takes the last
    complete checkpoint; several processes on the CPU communicate through gloo; SyncBN becomes BN where it can't
    run; ``compile`` compiles the model's :data:`CORE`; a broken torchvision is not imported; a second run in
    one process shares no state with the first.
    """

    def __init__(self, *args, **kwargs) -> None:
        for part in ('default_hooks', 'custom_hooks', 'param_scheduler'):
            rename_in_config(kwargs.get(part))
        check_train_cfg(kwargs.get('train_cfg'))
        check_optimizer(kwargs)
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
        """As mmengine's; stop signals from outside do not end the workers, see :mod:`.stop_signals`."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        return protect_workers(Runner.build_dataloader(dataloader, seed, diff_rank_seed))

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
        """Move the model to its device and wrap it; on the CPU without SyncBN, which runs on GPUs only."""
        if not self.distributed or get_device() != 'cpu' or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        self.logger.info('SyncBN layers, if any, become BN: they can not run on the CPU.')
        wrapper = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get('find_unused_parameters', False),
        )
        wrapper = {**wrapper, **model_wrapper_cfg} if model_wrapper_cfg else wrapper
        return MODEL_WRAPPERS.build(wrapper, default_args=dict(module=revert_sync_batchnorm(model)))

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool | None = None,
        revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
    ) -> dict:
        """mmengine's method without unpickling; see :func:`mmseg.engine.checkpoint_loading.load_checkpoint`.

        ``strict=None`` refuses a checkpoint that does not fit, unless the config has ``allow_partial=True``.
        """
        strict = not self.cfg.get('allow_partial', False) if strict is None else strict
        checkpoint = read_checkpoint(filename, map_location)
        if isinstance(checkpoint.get('meta'), dict):
            checkpoint['meta'].pop('config', None)  # mmengine's resume would execute this text
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_checkpoint_into(self.model, checkpoint, strict, revise_keys, filename)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """mmengine's method.

        Raises:
            BrokenCheckpointError: the file holds weights, but not the state of a training.
        """
        try:
            super().resume(filename, *args, **kwargs)
        except KeyError as error:
            raise BrokenCheckpointError(
                f'{filename}: has no {error}, expected a checkpoint of a training, from which it can go on; '
                f"to start a training with its weights: --cfg-options load_from='{filename}'"
            ) from error

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        *args,
        backend_args: dict | None = None,
        **kwargs,
    ) -> None:
        """mmengine's method; the file appears atomically where ``out_dir`` is on the local disk."""
        if not is_main_process():
            return
        options = dict(backend_args=backend_args, **kwargs)
        if file_client_args or backend_args or '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, file_client_args, *args, **options)
            return
        with atomic_path(Path(out_dir, filename)) as temporary:
            # ``filename`` may contain a folder
            super().save_checkpoint(str(temporary.parent), temporary.name, file_client_args, *args, **options)

    def train(self) -> torch.nn.Module:
        """mmengine's method, with the work folder locked against a second training.

        Raises:
            FolderInUseError: another training is at work in it; names the process.
        """
        with sole_training(self.work_dir, self._checkpoint_folders()):
            return super().train()

    def load_or_resume(self) -> None:
        """Load ``load_from``, or resume; without ``load_from`` from the last complete checkpoint of the run."""
        if self._resume and self._load_from is None and not self._has_loaded:
            path = (
                [find_last_whole_checkpoint(self.work_dir, *self._checkpoint_folders())]
                if is_main_process()
                else [None]
            )
            broadcast_object_list(path)
            if path[0] is None:
                self.logger.warning(
                    f'resume: no complete checkpoint in {self.work_dir}; training starts from the beginning'
                )
            else:
                self.logger.info(f'resume: {path[0]}')
                self.resume(path[0])
            self._has_loaded = True
        super().load_or_resume()

    def _checkpoint_folders(self) -> list[Path]:
        # the hook appends the name of the work folder itself, but only when training begins
        name = Path(self.work_dir).name
        return [
            hook.folder(self.work_dir) if hasattr(hook, 'folder') else Path(hook.out_dir or '', name)
            for hook in self.hooks
            if isinstance(hook, CheckpointHook) and (hook.out_dir or hasattr(hook, 'folder'))
        ]

    def _maybe_compile(self, target: str) -> None:
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
    with config_errors(cfg.filename or 'the config', 'built'):
        return RUNNERS.build(cfg) if 'runner_type' in cfg else SegRunner.from_cfg(cfg)
