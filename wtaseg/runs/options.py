"""What the command line says about a batch job; imports nothing heavy, so that help is shown at once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wtaseg.runs.training_flags import TrainingFlags

if TYPE_CHECKING:
    from wtaseg.runs.job import Experiment, Job
    from wtaseg.runs.records import RunRecord

_Flag = Parameter(negative=())
_Words = Parameter(consume_multiple=True, show_default=False)


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TrainingFlags):
    """What to train and test, and how; the flags of the training are those of every candidate.

    Attributes:
        project: results go to work_dirs/PROJECT.
        gpus: GPUs for each training; without any in the machine, everything runs on the CPU.
        candidates: DIR/MODEL: configs below configs/, without .py [run_main.sh: TEST_CANDI].
        candidates_file: one candidate a line: DIR/MODEL [--as DIR/NAME] [KEY=VALUE …]; with --as one config can
            stand several times under names of its own; # begins a comment.
        data: dataset folder, in place of data_root in every config.
        cfg_options: KEY=VALUE for every candidate.
        jobs: candidates side by side, each with its output in job/DIR/MODEL/job.log.
        restart: set results of changed settings aside and train again.
        smoke: train: a trial of a few iterations.
        from_scratch: train: do not load pretrained weights.
        amp: train in mixed precision.
        tta: test with augmented views.
        config_root: folder of the configs (default: those of this installation) [run_main.sh: MODEL_CONFIG_PATH].
        work_dir: folder of the projects [run_main.sh: WORK_DIR].
        find_best_dir: folder with a find_best.py that selects the checkpoint to test [run_main.sh: FIND_BEST_DIR].
        base: what relative paths count from, but for candidates_file, which counts from the current folder.
    """

    project: str
    gpus: int
    candidates: Annotated[tuple[str, ...], _Words] = ()
    candidates_file: Path | None = None
    data: Path | None = None
    cfg_options: Annotated[tuple[str, ...], _Words] = ()
    jobs: int = 1
    restart: Annotated[bool, _Flag] = False
    smoke: Annotated[bool, _Flag] = False
    from_scratch: Annotated[bool, _Flag] = False
    amp: Annotated[bool, _Flag] = False
    tta: Annotated[bool, _Flag] = False
    config_root: Path | None = None
    work_dir: Path = Path('work_dirs')
    find_best_dir: Path | None = None
    base: Annotated[Path, Parameter(parse=False)] = Path()

    def experiments(self) -> 'list[Experiment]':
        """The candidates.

        Raises:
            FileNotFoundError, ValueError: there are none, or one has another form than expected.
        """
        from wtaseg.runs.job import named_experiments, read_experiments

        if bool(self.candidates) == (self.candidates_file is not None):
            raise ValueError('give either --candidates or --candidates-file')
        if self.candidates_file is not None:
            return read_experiments(self.candidates_file)
        return named_experiments(self.candidates)

    def job(self, draw: 'Callable[[RunRecord], int] | None') -> 'Job':
        """What the candidates share; ``draw`` is as of :class:`~wtaseg.runs.job.Job`.

        Raises:
            FileNotFoundError, ValueError: an option cannot be right.
        """
        from wtaseg.runs.checkpoints import user_find_best
        from wtaseg.runs.job import Job
        from wtaseg.runs.layout import ProjectLayout, config_root, relative_to_base
        from wtaseg.runs.pool import usable_gpus
        from wtaseg.runs.settings import parse_options

        if self.jobs < 1:
            raise ValueError(f'--jobs: {self.jobs}; expected at least 1')
        parse_options(self.cfg_options)
        base = self.base.resolve()
        if self.data is not None and not (base / self.data).is_dir():
            raise FileNotFoundError(
                f'--data: {base / self.data} is not a folder; it should hold img_dir and ann_dir'
            )
        flags = {'--amp': self.amp, '--from-scratch': self.from_scratch, '--smoke': self.smoke}
        return Job(
            ProjectLayout.named(self.project, base / self.work_dir),
            config_root() if self.config_root is None else (base / self.config_root).resolve(),
            usable_gpus(self.gpus),
            overrides=self.cfg_options,
            train_flags=(*(flag for flag, given in flags.items() if given), *self.words()),
            test_flags=('--tta',) if self.tta else (),
            restart=self.restart,
            find_best=self.find_best_dir and user_find_best((base / self.find_best_dir).resolve()),
            draw=draw,
            data=self.data and relative_to_base(self.data, base),
            base=base,
        )
