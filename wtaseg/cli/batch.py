"""``wta-seg batch``: train, select the best checkpoint of and test many experiments.

Exit status: 0 when every experiment is finished, 1 when one failed or an argument cannot be right, 130 when
interrupted. Results are in ``<work-dir>/<project>/exp``, what the job records for itself in ``…/job``.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

Words = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())]


def command(
    *,
    project: str,
    gpus: Annotated[int, Parameter(allow_leading_hyphen=True)],
    candidates: Words = (),
    candidates_file: Path | None = None,
    cfg_options: Words = (),
    jobs: int = 1,
    restart: Annotated[bool, Parameter(negative=())] = False,
    smoke: Annotated[bool, Parameter(negative=())] = False,
    from_scratch: Annotated[bool, Parameter(negative=())] = False,
    amp: Annotated[bool, Parameter(negative=())] = False,
    tta: Annotated[bool, Parameter(negative=())] = False,
    config_root: Path | None = None,
    work_dir: Path = Path('work_dirs'),
    find_best_dir: Path | None = None,
) -> int:
    """Train, select the best checkpoint of and test every candidate.

    Run again, it skips what is finished and continues what was interrupted.

    Example: wta-seg batch --project demo --gpus 1 --candidates fastscnn/fast_scnn_1xb8-1k_wta_demo-96x96

    Parameters
    ----------
    project
        Name: results go to work_dirs/NAME.
    gpus
        GPUs for each training; without any, everything runs on the CPU.
    candidates
        DIR/MODEL …: configs below configs/, without .py (default: TEST_CANDI in run_main.sh).
    candidates_file
        One candidate a line: DIR/MODEL [--as DIR/NAME] [KEY=VALUE …]; with --as one config can stand several
        times under names of its own; # begins a comment.
    cfg_options
        KEY=VALUE …: for every candidate.
    jobs
        Candidates side by side, each with its output in job/DIR/MODEL/job.log.
    restart
        Set results of changed settings aside and train again.
    smoke
        Train: a trial of a few iterations.
    from_scratch
        Train: do not load pretrained weights.
    amp
        Train in mixed precision.
    tta
        Test with augmented views.
    config_root
        Folder of the configs, MODEL_CONFIG_PATH (default: configs).
    work_dir
        Folder of the projects, WORK_DIR.
    find_best_dir
        Folder of a find_best.py that selects the checkpoint to test, FIND_BEST_DIR.
    """
    try:
        if bool(candidates) == (candidates_file is not None):
            raise ValueError('give either --candidates or --candidates-file')
        from wtaseg.runs.job import named_experiments, read_experiments

        if candidates_file is None:
            experiments = named_experiments(candidates)
        else:
            experiments = read_experiments(candidates_file)
        flags = {'--smoke': smoke, '--from-scratch': from_scratch, '--amp': amp}
        return run(
            experiments,
            project,
            gpus,
            work_dir,
            jobs,
            overrides=cfg_options,
            train_flags=tuple(sorted(flag for flag, given in flags.items() if given)),
            test_flags=('--tta',) if tta else (),
            restart=restart,
            config_root=config_root,
            find_best=find_best_dir,
        )
    except (FileNotFoundError, ValueError) as error:
        print(f'run_main.sh: {error}', file=sys.stderr)
        return 1


def run(
    experiments: Sequence,
    project: str,
    gpus: int,
    work_dir: Path,
    jobs: int,
    config_root: Path | None,
    find_best: Path | None,
    **settings,
) -> int:
    """Check what the job needs, and run it; relative paths count from the clone, wherever the job is started.

    Raises:
        FileNotFoundError, ValueError: an argument cannot be right.
    """
    from wtaseg.report.overlays import write_pairs
    from wtaseg.runs.checkpoints import user_find_best
    from wtaseg.runs.execute import run_experiment
    from wtaseg.runs.job import Job
    from wtaseg.runs.layout import ProjectLayout, base_folder
    from wtaseg.runs.layout import config_root as default_configs
    from wtaseg.runs.pool import print_summary, run_pool, usable_gpus, visible_devices
    from wtaseg.runs.settings import parse_options

    if jobs < 1:
        raise ValueError(f'--jobs: {jobs}; expected at least 1')
    parse_options(settings['overrides'])
    base = base_folder()
    layout = ProjectLayout.named(project, work_dir)
    job = Job(
        layout,
        default_configs() if config_root is None else (base / config_root).resolve(),
        usable_gpus(gpus),
        find_best=find_best and user_find_best((base / find_best).resolve()),
        draw=write_pairs,
        **settings,
    )
    devices = visible_devices() if jobs > 1 and job.gpus == 1 else ()
    result = run_pool(experiments, partial(run_experiment, job), layout, jobs, devices)
    print_summary(result, layout)
    return result.exit_status


def main(argv: Sequence[str] | None = None) -> int:
    """What ``bash/run_main.sh`` runs; returns the exit status."""
    app = App(name='run_main.sh', default_command=command, version_flags=())
    try:
        return app(sys.argv[1:] if argv is None else list(argv), exit_on_error=False, print_error=False) or 0
    except CycloptsError as error:
        print(f'run_main.sh: {error}', file=sys.stderr)
        return 2
