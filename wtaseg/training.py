"""Training and test of one experiment in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmseg.engine import build_runner
from mmseg.utils import distributed_run, launch
from mmseg.utils.from_scratch import drop_pretrained
from mmseg.utils.smoke import shrink
from wtaseg import shared_memory
from wtaseg.errors import always, named_folder, one_line_errors
from wtaseg.runs.checkpoints import trained_checkpoint
from wtaseg.runs.data import leaf_configs, set_data_root
from wtaseg.runs.layout import find_config
from wtaseg.runs.outputs import is_smoke_run
from wtaseg.runs.settings import parse_options
from wtaseg.runs.training_flags import TrainingFlags
from wtaseg.start_screen import StartScreen


@dataclass(frozen=True)
class Experiment:
    """What training and test have in common.

    Attributes:
        config: name or path of the config.
        data: dataset folder that replaces ``data_root`` of every split; None: as the config says.
        work_dir: folder of logs and checkpoints; None: ``work_dir`` of the config, else ``work_dirs/<config>``.
        cfg_options: ``KEY=VALUE`` that change values of the config.
        launcher: what started the processes of a distributed run: none, pytorch, slurm or mpi.
        local_rank: number of this process on its machine, where the launcher does not set LOCAL_RANK.
        allow_partial: load what fits of a checkpoint that does not fit the model, and log how much that was.
    """

    config: str
    data: Path | None = None
    work_dir: str | None = None
    cfg_options: tuple[str, ...] = ()
    launcher: str = 'none'
    local_rank: int = 0
    allow_partial: bool = False

    def load(self, splits: Sequence[str]) -> Config:
        """The config with all changes; ``splits`` are those that will be read.

        Raises:
            FileNotFoundError, ValueError: the config, an option or the dataset can not be used.
        """
        cfg = launch.load_config(
            find_config(self.config),
            parse_options(self.cfg_options),
            launcher=self.launcher,
            local_rank=self.local_rank,
            work_dir=self.work_dir,
        )
        if self.allow_partial:
            cfg.allow_partial = True
        if self.data is not None:
            set_data_root(cfg, self.data, splits)
        return cfg


@dataclass(frozen=True)
class TrainOptions(TrainingFlags):
    """How an experiment is trained; the fields of :class:`TrainingFlags` by keyword.

    Attributes:
        resume: ``'auto'``: continue with the last complete checkpoint of the work folder; a path: with that
            checkpoint; None: start from the beginning.
        amp: mixed precision, float16 on the GPU, bfloat16 on the CPU.
        smoke: a trial of four iterations with small images, in a work folder of its own unless one is given.
        from_scratch: start without any pretrained weights.
        trackers: what records the run beside the log, keys of :data:`mmseg.utils.launch.TRACKERS`.
    """

    resume: str | None = None
    amp: bool = False
    smoke: bool = False
    from_scratch: bool = False
    trackers: tuple[str, ...] = ()

    def apply(self, cfg: Config, own_folder: bool) -> None:
        """Change a config accordingly, in place.

        Args:
            cfg: of the experiment.
            own_folder: a smoke run gets a work folder of its own.

        Raises:
            ValueError: an option does not fit the config.
        """
        if self.smoke:
            shrink(cfg)
            if own_folder:
                cfg.work_dir = f'{cfg.work_dir.rstrip("/")}_smoke'
        if self.from_scratch:
            drop_pretrained(cfg)
        if self.amp:
            launch.enable_amp(cfg)
        if self.from_scratch and self.init_from is not None:
            raise ValueError(
                f'--from-scratch: --init-from {self.init_from} gives the first weights; leave one out'
            )
        self.apply_flags(cfg)
        for tracker in self.trackers:
            launch.track(cfg, tracker)
        if self.resume is not None:
            if self.resume == 'auto' and not self.smoke:
                refuse_smoke_run(Path(cfg.work_dir))
            cfg.resume = (
                True  # without a checkpoint of the run the training begins, with init_from where given
            )
            cfg.load_from = None if self.resume == 'auto' else self.resume


def refuse_smoke_run(work_dir: Path) -> None:
    """Raise where the last run in a work folder was a smoke run.

    Raises:
        ValueError: it was; its checkpoint is no start for a training.
    """
    if is_smoke_run(work_dir):
        raise ValueError(
            f'--resume: the last run in {work_dir} was a smoke run; delete the folder, or give another --work-dir'
        )


def train(experiment: Experiment, options: TrainOptions = TrainOptions()) -> None:
    """Train an experiment.

    SIGINT and SIGTERM save a checkpoint and end the process, see :class:`mmseg.engine.CheckpointHook`.

    Raises:
        FileNotFoundError, ValueError: a setting or the dataset can not be used.
    """
    with one_line_errors(experiment.config, always):
        cfg = experiment.load(('train', 'val'))
        options.apply(cfg, own_folder=experiment.work_dir is None)
        runner, screen = _build(cfg)
    in_setup = one_line_errors(experiment.config, lambda: not screen.first_iteration_done)
    with distributed_run.one_of_several(), in_setup, named_folder(cfg.work_dir):
        try:
            runner.train()
        except SystemExit as stop:  # of a stop signal
            distributed_run.end_distributed_run(int(stop.code or 0))
            raise
    distributed_run.end_distributed_run()


def _build(cfg: Config) -> tuple[Runner, StartScreen]:
    """The runner, which shows a screen of what matters and logs the rest of its setup to the file."""
    loaders = (cfg.get(f'{split}_dataloader') or {} for split in ('train', 'val', 'test'))
    shared_memory.check(sum(loader.get('num_workers', 0) for loader in loaders))
    cfg.brief_console = True
    runner = build_runner(cfg)
    screen = StartScreen()
    runner.register_hook(screen, 'LOWEST')
    return runner, screen


def test(
    experiment: Experiment,
    checkpoint: str | None = None,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2,
    tta: bool = False,
    false_alarms: float | None = None,
) -> None:
    """Test a checkpoint; the metrics are logged.

    Args:
        experiment: what to test.
        checkpoint: path or URL of the weights; a folder: those of the training in it; None: of that in the work folder.
        out: folder for predictions, PNGs of class ids.
        show: show predictions in a window.
        show_dir: folder for images with the predictions drawn.
        wait_time: seconds a window stays open.
        tta: average over flips and scales of each image.
        false_alarms: per image and class, at which the operating point is applied; None: those it was chosen for.

    Raises:
        FileNotFoundError, ValueError: a setting, the checkpoint or the dataset can not be used.
    """
    with one_line_errors(experiment.config, always):
        cfg = experiment.load(('test',))
        if checkpoint is None or Path(checkpoint).is_dir():
            checkpoint = str(trained_checkpoint(Path(checkpoint or cfg.work_dir)))
        refuse_unlabelled(cfg, checkpoint)
        cfg.load_from = checkpoint
        cfg.resume = False
        if show or show_dir:
            launch.draw_predictions(cfg, show, wait_time, show_dir)
        if tta:
            launch.enable_tta(cfg)
        if false_alarms is not None:
            launch.set_false_alarms(cfg, 'test', false_alarms)
        if out is not None:
            launch.write_predictions(cfg, out)
        runner, _ = _build(cfg)
        runner.only_tests = True
    with (
        distributed_run.one_of_several(),
        one_line_errors(experiment.config, always),
        named_folder(cfg.work_dir),
    ):
        runner.test()
    distributed_run.end_distributed_run()


def refuse_unlabelled(cfg: Config, checkpoint: str) -> None:
    """Raise where the test set has images and no labels.

    Args:
        cfg: of the experiment.
        checkpoint: that was to be tested.

    Raises:
        FileNotFoundError: no label map is there; the message names the command that needs none.
    """
    for dataset in leaf_configs(cfg, 'test'):
        prefix = dataset.get('data_prefix') or {}
        root = Path(dataset.get('data_root') or '')
        images, labels = (
            root / prefix[key] if prefix.get(key) else None for key in ('img_path', 'seg_map_path')
        )
        if images is None or not images.is_dir():
            continue
        if labels is None or not labels.is_dir() or next(labels.iterdir(), None) is None:
            raise FileNotFoundError(
                f'{labels or images}: no label map, and a test compares predictions with labels. Without labels: '
                f'wta-seg predict {checkpoint} {images} --out DIR'
            )
