"""``wta-seg batch``, which ``bash/run_main.sh`` runs: train, select the best checkpoint of and test many experiments.

Exit status: 0 when every experiment is finished, 1 when one failed or an argument cannot be right, 130 when
interrupted. Results are in ``<work-dir>/<project>/exp``, what the job records for itself in ``…/job``.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from wtaseg.cli import MANY, run_alone


def command(
    *,
    project: str,
    gpus: int,
    candidates: Annotated[tuple[str, ...], MANY] = (),
    candidates_file: Path | None = None,
    cfg_options: Annotated[tuple[str, ...], MANY] = (),
    jobs: int = 1,
    restart: bool = False,
    smoke: bool = False,
    from_scratch: bool = False,
    amp: bool = False,
    tta: bool = False,
    config_root: Path | None = None,
    work_dir: Path = Path('work_dirs'),
    find_best_dir: Path | None = None,
) -> int:
    """Train, select the best checkpoint of and test every candidate.

    Run again, it skips what is finished and continues what was interrupted. The candidates come from --candidates
    or --candidates-file.

    Example: ``wta-seg batch --project p --gpus 1 --candidates fastscnn/fast_scnn_4xb4-40k_wta-512x512``

    Parameters
    ----------
    project
        results go to work_dirs/PROJECT
    gpus
        GPUs for each training; without any in the machine, everything runs on the CPU
    candidates
        DIR/MODEL: configs below configs/, without .py [run_main.sh: TEST_CANDI]
    candidates_file
        one candidate a line: DIR/MODEL [--as DIR/NAME] [KEY=VALUE …]; with --as one config can stand several times
        under names of its own; # begins a comment
    cfg_options
        KEY=VALUE: for every candidate
    jobs
        candidates side by side, each with its output in job/DIR/MODEL/job.log
    restart
        set results of changed settings aside and train again
    smoke
        train: a trial of a few iterations
    from_scratch
        train: do not load pretrained weights
    amp
        train in mixed precision
    tta
        test with augmented views
    config_root
        folder of the configs [default: configs; run_main.sh: MODEL_CONFIG_PATH]
    work_dir
        folder of the projects [run_main.sh: WORK_DIR]
    find_best_dir
        folder with a find_best.py that selects the checkpoint to test [run_main.sh: FIND_BEST_DIR]
    """
    from wtaseg.report.overlays import write_pairs
    from wtaseg.runs.checkpoints import user_find_best
    from wtaseg.runs.execute import run_experiment
    from wtaseg.runs.job import Job, named_experiments, read_experiments
    from wtaseg.runs.layout import ProjectLayout, base_folder
    from wtaseg.runs.layout import config_root as default_configs
    from wtaseg.runs.pool import print_summary, run_pool, usable_gpus, visible_devices
    from wtaseg.runs.settings import parse_options

    if bool(candidates) == (candidates_file is not None):
        raise ValueError('give either --candidates or --candidates-file')
    if jobs < 1:
        raise ValueError(f'--jobs: {jobs}; expected at least 1')
    parse_options(cfg_options)
    experiments = named_experiments(candidates) if candidates else read_experiments(candidates_file)
    flags = {'--amp': amp, '--from-scratch': from_scratch, '--smoke': smoke}
    base = base_folder()
    job = Job(
        ProjectLayout.named(project, work_dir),
        default_configs() if config_root is None else (base / config_root).resolve(),
        usable_gpus(gpus),
        overrides=cfg_options,
        train_flags=tuple(flag for flag, given in flags.items() if given),
        test_flags=('--tta',) if tta else (),
        restart=restart,
        find_best=None if find_best_dir is None else user_find_best((base / find_best_dir).resolve()),
        draw=write_pairs,
    )
    devices = visible_devices() if jobs > 1 and job.gpus == 1 else ()
    result = run_pool(experiments, partial(run_experiment, job), job.project, jobs, devices)
    print_summary(result, job.project)
    return result.exit_status


def main(argv: Sequence[str] | None = None) -> int:
    """What ``bash/run_main.sh`` runs; returns the exit status."""
    return run_alone(command, argv, 'run_main.sh')
