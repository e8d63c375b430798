"""``wta-seg batch``, which ``bash/run_main.sh`` runs: train, select the best checkpoint of and test many experiments.

Exit status: 0 when every experiment is finished, 1 when one failed or an argument cannot be right, 130 when
interrupted. Results are in ``<work-dir>/<project>/exp``, what the job records for itself in ``…/job``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wtaseg.cli import run_alone
from wtaseg.runs.options import BatchOptions


def command(
    *,
    options: Annotated[BatchOptions, Parameter(name='*')],
    base: Annotated[Path, Parameter(parse=False)] = Path(),
) -> int:
    """Train, select the best checkpoint of and test every candidate.

    Example: ``wta-seg batch --project p --gpus 1 --candidates fastscnn/fast_scnn_4xb4-40k_wta-512x512``

    Run again, it skips what is finished and continues what was interrupted. The candidates come from --candidates
    or --candidates-file. Configs are Python programs and are executed: use none that you have not read.
    """
    from wtaseg.report.overlays import write_pairs
    from wtaseg.runs.execute import run_experiment
    from wtaseg.runs.pool import print_summary, run_pool, visible_devices

    experiments = options.experiments()
    job = replace(options, base=base).job(draw=write_pairs)
    devices = visible_devices() if options.jobs > 1 and job.gpus == 1 else ()
    result = run_pool(experiments, partial(run_experiment, job), job.project, options.jobs, devices)
    print_summary(result, job.project)
    return result.exit_status


def main(argv: Sequence[str] | None = None, base: Path = Path()) -> int:
    """What ``bash/run_main.sh`` runs; returns the exit status.

    Args:
        argv: the arguments; default: those of this process.
        base: what relative paths count from, see :class:`~wtaseg.runs.options.BatchOptions`.
    """
    return run_alone(partial(command, base=base), argv, 'run_main.sh')
