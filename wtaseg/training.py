"""Training and test of one experiment in this process."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.device import get_device

from mmseg.engine import build_runner
from mmseg.utils import launch
from mmseg.utils.from_scratch import drop_pretrained
from mmseg.utils.smoke import shrink
from mmseg.utils.walk import dataset_configs
from wtaseg.runs.layout import find_config
from wtaseg.runs.settings import parse_options

SPLITS = ('train', 'val', 'test')
#: Keys by which a dataset that wraps others holds them.
WRAPPED = {'dataset', 'datasets'}


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


def train(
    experiment: Experiment,
    resume: str | None = None,
    amp: bool = False,
    smoke: bool = False,
    from_scratch: bool = False,
) -> None:
    """Train an experiment.

    Args:
        experiment: what to train.
        resume: ``'auto'``: continue with the last complete checkpoint of the work folder; a path: with that
            checkpoint; None: start anew.
        amp: mixed precision, float16 on the GPU, bfloat16 on the CPU.
        smoke: a trial of four iterations with small images.
        from_scratch: start without any pretrained weights.

    Raises:
        FileNotFoundError, ValueError: a setting or the dataset can not be used.
    """
    cfg = experiment.load(('train', 'val'))
    if smoke:
        shrink(cfg)
    if from_scratch:
        drop_pretrained(cfg)
    if amp:
        launch.enable_amp(cfg)
    if resume is not None:
        cfg.resume = True
        cfg.load_from = None if resume == 'auto' else resume
    runner = build_runner(cfg)
    if get_device() == 'cpu':
        runner.logger.info('No CUDA device: training on the CPU.')
    runner.train()
    launch.end_distributed_run()


def test(
    experiment: Experiment,
    checkpoint: str,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2,
    tta: bool = False,
) -> None:
    """Test a checkpoint; the metrics are logged.

    Args:
        experiment: what to test.
        checkpoint: path or URL of the weights.
        out: folder for predictions, PNGs of class ids.
        show: show predictions in a window.
        show_dir: folder for images with the predictions drawn.
        wait_time: seconds a window stays open.
        tta: average over flips and scales of each image.

    Raises:
        FileNotFoundError, ValueError: a setting, the checkpoint or the dataset can not be used.
    """
    cfg = experiment.load(('test',))
    cfg.load_from = checkpoint
    cfg.resume = False
    if show or show_dir:
        launch.draw_predictions(cfg, show, wait_time, show_dir)
    if tta:
        launch.enable_tta(cfg)
    if out is not None:
        launch.write_predictions(cfg, out)
    build_runner(cfg).test()
    launch.end_distributed_run()


def set_data_root(cfg: Config, folder: Path, checked: Iterable[str] = SPLITS) -> None:
    """Set ``data_root`` of every dataset in a config, also inside wrappers, in place.

    Args:
        cfg: config of an experiment.
        folder: dataset in the img_dir/ann_dir layout.
        checked: splits whose folders must exist.

    Raises:
        FileNotFoundError: a folder of a checked split does not exist.
        ValueError: a split joins datasets of several roots, which one folder can not replace.
    """
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if not loader:
            continue
        datasets = [dataset for dataset in dataset_configs(loader['dataset']) if not WRAPPED & set(dataset)]
        roots = sorted({str(dataset.get('data_root')) for dataset in datasets})
        if len(roots) > 1:
            raise ValueError(
                f'--data {folder}: {split}_dataloader of {cfg.filename} joins datasets in {" and ".join(roots)}; '
                'set each data_root with --cfg-options, or in a config'
            )
        for dataset in datasets:
            dataset['data_root'] = str(folder)
            if split in checked:
                _check_folders(dataset, folder, split)


def _check_folders(dataset: ConfigDict, folder: Path, split: str) -> None:
    for name in (dataset.get('data_prefix') or {}).values():
        if name and not (folder / name).is_dir():
            raise FileNotFoundError(
                f'--data {folder}: {folder / name} does not exist, which the {split} split needs; '
                'a dataset has img_dir/<split> and ann_dir/<split>, see data/README.md'
            )
