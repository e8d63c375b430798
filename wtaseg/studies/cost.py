"""What a study costs, before it is run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wtaseg.runs.records import DONE
from wtaseg.runs.settings import load_config
from wtaseg.studies.pays import DOSES, PAYS
from wtaseg.studies.results import StudyResults
from wtaseg.studies.spec import Study, StudyOptions

SMOKE_ITERATIONS = 4
"""Of a run with --smoke."""

WARM_UP, TIMED = 2, 5
"""Training steps before those that are timed, and those."""


@dataclass(frozen=True)
class Cost:
    """Training runs of one length.

    Attributes:
        runs: all of them; done: how many have results.
        iterations: of each.
        seconds: of a training step.
        device: where the steps were timed.
        measured: whether the steps are those of finished runs, and not of a trial.
    """

    runs: int
    done: int
    iterations: int
    seconds: float
    device: str
    measured: bool

    @property
    def minutes(self) -> float:
        """Of the training steps that are left to do."""
        return (self.runs - self.done) * self.iterations * self.seconds / 60

    def __str__(self) -> str:
        unit = 'CPU' if self.device == 'cpu' else 'GPU'
        left = f', {self.runs - self.done} left to do' if self.done else ''
        how = (
            'as in the finished runs' if self.measured else f'without CUDA graphs, measured on {self.device}'
        )
        return (
            f'Cost: {self.runs} runs of {self.iterations} iterations{left}: about {self.minutes:.0f} {unit} minutes for '
            f'the training steps ({self.seconds * 1000:.0f} ms each, {how}); validations and tests come on top'
        )


def estimate(
    config: Path, runs: Sequence[str], results: StudyResults, smoke: bool = False, amp: bool = False
) -> Cost:
    """The cost of ``runs``, which all train like ``config``.

    Where runs of the project have ended, their median time of a step counts; otherwise some steps are timed here.

    Args:
        config: one of theirs, as it was written for the study.
        runs: names of all.
        results: of the project.
        smoke: a trial of four iterations.
        amp: mixed precision.

    Raises:
        ValueError: the config counts epochs.
    """
    cfg = load_config(config)
    iterations = SMOKE_ITERATIONS if smoke else cfg.train_cfg.get('max_iters')
    if not iterations:
        raise ValueError(f'{config} counts epochs; expected train_cfg.max_iters, which all rows share')
    finished = [run for name in runs if (run := results.runs.get(name)) and run.status == DONE]
    times = sorted(run.iteration_seconds for run in finished if run.iteration_seconds)
    if times:
        return Cost(len(runs), len(finished), iterations, times[len(times) // 2], device_name(), True)
    from wtaseg.bench.step import measure

    size = cfg.get('crop_size') or (512, 512)
    side = round((size[0] * size[1]) ** 0.5)
    trial = measure(config, size=side, amp=amp, steps=TIMED, warmup=WARM_UP, top=1)
    return Cost(len(runs), len(finished), iterations, trial.whole_ms / 1000, trial.device, False)


def cost_of_pays(options: StudyOptions, studies: Sequence[Study], results: StudyResults) -> Cost | None:
    """What the study pays costs, its further doses included; None where it is not among ``studies``."""
    study = next((study for study in studies if study.name == PAYS), None)
    if study is None:
        return None
    groups = {row.group for row in study.rows}
    doses = 0 if options.only else sum(f'Dose {dose:g}' not in groups for dose in DOSES)
    config = options.layout.study_configs / f'{study.rows[0].experiment.name}.py'
    cost = estimate(config, results.studies[PAYS].run_names, results, options.smoke, options.amp)
    return replace(cost, runs=(len(study.rows) + doses) * options.seeds)


def device_name() -> str:
    """The GPU that runs are trained on, or ``cpu``."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
