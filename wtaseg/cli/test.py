"""``wta-seg test``, also ``python tools/test.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError

from wtaseg.cli import MANY, run_alone
from wtaseg.cli.lean_imports import exempt_modules_from_collection
from wtaseg.cli.train import Launcher, LocalRank


def command(
    config: str,
    checkpoint: str | None = None,
    /,
    *,
    data: Path | None = None,
    work_dir: str | None = None,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2,
    tta: bool = False,
    false_alarms: float | None = None,
    allow_partial: bool = False,
    cfg_options: Annotated[tuple[str, ...], MANY] = (),
    launcher: Launcher = 'none',
    local_rank: LocalRank = 0,
) -> int:
    """Test a checkpoint of an experiment.

    Example: ``wta-seg test fastscnn/fast_scnn_4xb4-40k_wta-512x512 best.pth --data data/wta_512``

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    checkpoint
        checkpoint to test, or the folder of a training for its best one [default: the best in work_dirs/CONFIG]
    data
        dataset folder, in place of data_root in the config
    work_dir
        folder of logs and metrics [default: work_dirs/CONFIG]
    out
        folder for predictions, as PNGs of class ids
    show
        show predictions in a window
    show_dir
        folder for images with the predictions drawn
    wait_time
        seconds a window stays open
    tta
        average over flips and scales of each image
    false_alarms
        per image and class: count at the thresholds for these [default: those of the checkpoint's operating point]
    allow_partial
        load what fits of a checkpoint that does not fit the model, and say how much that was
    cfg_options
        KEY=VALUE: change values of the config, test_dataloader.batch_size=8 "a.b=[1,2]"; no spaces inside a value
    launcher
        what started this process
    """
    if config.endswith('.pth'):
        message = f'{config} is a checkpoint, expected a config first: wta-seg test CONFIG {config}'
        raise CycloptsError(msg=message)
    from wtaseg.training import Experiment, test

    exempt_modules_from_collection()
    experiment = Experiment(config, data, work_dir, cfg_options, launcher, local_rank, allow_partial)
    test(experiment, checkpoint, out, show, show_dir, wait_time, tta, false_alarms)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/test.py``."""
    return run_alone(command, argv, 'test.py')
