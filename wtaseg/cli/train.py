"""``wta-seg train``, also ``python tools/train.py``."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import CycloptsError, Parameter

from wtaseg.cli import MANY, run_alone
from wtaseg.cli.lean_imports import exempt_modules_from_collection
from wtaseg.runs.training_flags import TrainingFlags

Launcher = Literal['none', 'pytorch', 'slurm', 'mpi']
# torch.distributed.launch passes it, in one spelling or the other
LocalRank = Annotated[int, Parameter(name=('--local-rank', '--local_rank'), show=False)]
# a value is optional; the config may follow as a second one, see split_resume
OptionalValue = Parameter(consume_multiple=(0, 2), show_default=False)


@Parameter(name='*')
@dataclass(frozen=True)
class Trackers:
    """What records a training beside its log.

    Parameters
    ----------
    tensorboard
        also record with TensorBoard; needs the extra "tracking"
    wandb
        also record with Weights & Biases; needs the extra "tracking"
    """

    tensorboard: bool = False
    wandb: bool = False


@Parameter(name='*')
@dataclass(frozen=True)
class Processes:
    """How many processes train, and what started this one.

    Parameters
    ----------
    gpus
        GPUs of this machine, each with the batch size of the config; as tools/dist_train.sh CONFIG GPUS
    launcher
        what started this process
    """

    gpus: int = 1
    launcher: Launcher = 'none'
    local_rank: LocalRank = 0


def command(
    config: str | None = None,
    /,
    *,
    data: Path | None = None,
    work_dir: str | None = None,
    resume: Annotated[tuple[str, ...] | None, OptionalValue] = None,
    amp: bool = False,
    smoke: bool = False,
    from_scratch: bool = False,
    allow_partial: bool = False,
    cfg_options: Annotated[tuple[str, ...], MANY] = (),
    trackers: Trackers = Trackers(),
    processes: Processes = Processes(),
    flags: Annotated[TrainingFlags, Parameter(name='*')] = TrainingFlags(),  # noqa: B008  immutable
) -> int:
    """Train one experiment.

    Example: ``wta-seg train fastscnn/fast_scnn_4xb4-40k_wta-512x512 --data data/wta_512``

    The config is a Python program and is executed: use none that you have not read.
    Ctrl-C, SIGTERM and SIGHUP save a checkpoint, from which --resume continues; a second one ends at once.

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    data
        dataset folder, in place of data_root in the config
    work_dir
        folder of logs and checkpoints [default: work_dirs/CONFIG]
    resume
        continue with the last complete checkpoint of the work folder ("auto", also without a value), or with this one
    amp
        mixed precision: float16 on the GPU, bfloat16 on the CPU
    smoke
        a trial of four iterations with small images, in work_dirs/CONFIG_smoke
    from_scratch
        start without any pretrained weights
    allow_partial
        load what fits of the checkpoint of load_from or --resume that does not fit the model, and say how much that was
    cfg_options
        KEY=VALUE: change values of the config, train_dataloader.batch_size=8 "a.b=[1,2]"; no spaces inside a value
    """
    if processes.gpus != 1:
        given = dict(data=data, work_dir=work_dir, amp=amp, smoke=smoke, from_scratch=from_scratch)
        given |= dict(allow_partial=allow_partial, **vars(trackers))
        _start_processes(processes.gpus, _words(config, given, flags, resume, cfg_options))
    from wtaseg.training import Experiment, TrainOptions, train

    exempt_modules_from_collection()
    config, checkpoint = split_resume(config, resume)
    launch = (processes.launcher, processes.local_rank)
    experiment = Experiment(config, data, work_dir, cfg_options, *launch, allow_partial)
    names = tuple(name for name, given in vars(trackers).items() if given)
    train(experiment, TrainOptions(checkpoint, amp, smoke, from_scratch, names, **vars(flags)))
    return 0


def _words(
    config: str | None,
    options: dict[str, Any],
    flags: TrainingFlags,
    resume: tuple[str, ...] | None,
    cfg_options: Sequence[str],
) -> list[str]:
    """The command line of these arguments, without the number of GPUs."""
    words = [config] if config else []
    for name, value in options.items():
        if value:
            words.append(f'--{name.replace("_", "-")}' + ('' if value is True else f'={value}'))
    words += flags.words()
    words += [] if resume is None else ['--resume', *resume]
    return words + (['--cfg-options', *cfg_options] if cfg_options else [])


def _start_processes(gpus: int, words: list[str]) -> NoReturn:
    """Replace this process by one that starts a training for each GPU; in one process where there is no GPU."""
    from wtaseg.runs.pool import usable_gpus
    from wtaseg.torchrun import command_line

    count = usable_gpus(gpus)
    begin = [*command_line(count), '-m', 'wtaseg'] if count > 1 else [sys.executable, '-m', 'wtaseg']
    launcher = ['--launcher', 'pytorch'] if count > 1 else []
    os.execv(sys.executable, [*begin, 'train', *words, *launcher])


def split_resume(config: str | None, resume: tuple[str, ...] | None) -> tuple[str, str | None]:
    """The config, and what to resume from: ``'auto'``, a checkpoint, or None.

    Args:
        config: the positional argument, None where ``--resume`` took it as a value:
            ``--resume CONFIG``, ``--resume CHECKPOINT CONFIG``.
        resume: values of ``--resume``; None: the flag was not given.

    Raises:
        CycloptsError: the config is missing, or given twice.
    """
    values = list(resume or ())
    if config is None and values and values[-1] != 'auto' and not values[-1].endswith('.pth'):
        config = values.pop()
    if config is None:
        raise CycloptsError(msg='the config is missing; expected its name or path')
    if len(values) > 1:
        raise CycloptsError(msg=f'--resume: {" and ".join(values)}; expected one checkpoint')
    return config, None if resume is None else (values or ['auto'])[0]


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/train.py``."""
    return run_alone(command, argv, 'train.py')
