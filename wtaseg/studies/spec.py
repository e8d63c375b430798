"""What a study is, and how the command line describes what to do with it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wtaseg.report.summary import Marking
from wtaseg.runs import layout
from wtaseg.runs.training_flags import TrainingFlags

if TYPE_CHECKING:
    from mmengine.config import Config

    from wtaseg.studies.results import StudyRecord, StudyResults

FAST_SCNN = 'fastscnn/fast_scnn_4xb4-40k_wta-512x512'

Override = Callable[['Config'], None]
"""A function that changes a config in place."""

_Flag = Parameter(negative='')
_Words = Parameter(consume_multiple=True, negative='', show_default=False)


@dataclass(frozen=True)
class Experiment:
    """One thing to train.

    Rows of several studies that have the same config and key are trained once.

    Attributes:
        config: name of a config below the config folder.
        key: name of what differs from the config; ``''``: nothing.
        override: makes the difference.
    """

    config: str
    key: str = ''
    override: Override | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Name of its config below the project's ``study/configs``."""
        return f'{self.config}-{self.key}' if self.key else self.config


@dataclass(frozen=True)
class StudyRow:
    """A line of the table; ``group`` is printed in the first column, once for all rows that share it."""

    group: str
    label: str
    experiment: Experiment


FollowUp = Callable[['StudyResults', 'StudyRecord'], tuple[StudyRow, ...]]


@dataclass(frozen=True)
class Study:
    """Experiments to compare, and how the table shows them.

    ``follow_up`` gives further rows, once those before have results.
    """

    name: str
    title: str
    question: str
    columns: tuple[str, str]
    rows: tuple[StudyRow, ...]
    marking: Marking = Marking.BEST_SECOND
    follow_up: FollowUp | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class StudyOptions(TrainingFlags):
    """What the command line says about studies. Paths are as typed; properties make them absolute.

    The flags of the training are those of every run.

    Attributes:
        studies: names of studies.
        data: original images and labels.
        project: results go to work_dirs/NAME; studies of a project share their runs.
        seeds: runs of each row, with seeds 0 to N-1.
        iters: length of each training, the learning rate's schedule scaled to it (default: as the configs say).
        validations: with --iters, validations of each run.
        smoke: a trial of a few iterations.
        gpus: GPUs for each run.
        jobs: runs side by side.
        workers: processes of each data loader (default: the configs'; with --jobs what the cores allow).
        time_limit: after so many seconds stop what still runs, and report.
        model: config that losses, gamma, words, ratio, imbalance, folds, pays and twins train.
        folds: of the study folds; lists of `wta-seg split --folds` in the dataset are used if there are any.
        word: whose edited images loss_aug, ratio, final, pays and twins take.
        relabelled: for relabel and pays, edited images with labels of their own (pays: <data>_aug_<word>_proposed).
        not_relabelled: for relabel and pays, edited images with the labels of the originals.
        pasted: for pays, normal images with pasted defects (default: <data>_paste).
        planted: for pays, normal images with planted and edited defects (default: <data>_plant_<word>).
        intervals: have the tests count each image, for the differences from the first row with 95 % intervals.
        only: only rows of these labels or groups.
        by_study: train all seeds of a study before the next study, not all studies with a seed before the next seed.
        cfg_options: KEY=VALUE for every run.
        from_scratch: do not load pretrained weights.
        amp: train in mixed precision.
        tta: test with augmented views.
        restart: set results of changed settings aside and train again.
        report_only: train nothing, write the reports.
        source: with --report-only, results.json of any project.
        out: folder of the reports (default: work_dirs/PROJECT/report).
        bundle: also put results.json, pages, tables and the ends of logs there.
        commit: commit of the code, where it is no git checkout.
        work_dir: folder of the projects (default: work_dirs).
        config_root: folder of the configs (default: those of this installation).
        base: where the default work_dirs is and where the runs are started, so that relative paths of data in
            configs count from it; paths that are typed count from the current folder.
    """

    studies: Annotated[tuple[str, ...], Parameter(parse=False)] = ()
    data: Path = Path('data/wta_512')
    project: str | None = None
    seeds: int = 1
    iters: int | None = None
    validations: int = 10
    smoke: Annotated[bool, _Flag] = False
    gpus: int = 1
    jobs: int = 1
    workers: int | None = None
    time_limit: float | None = None
    model: str = FAST_SCNN
    folds: int = 5
    word: str = 'peeling'
    relabelled: Path | None = None
    not_relabelled: Path | None = None
    pasted: Path | None = None
    planted: Path | None = None
    intervals: Annotated[bool, _Flag] = False
    only: Annotated[tuple[str, ...], _Words] = ()
    by_study: Annotated[bool, _Flag] = False
    cfg_options: Annotated[tuple[str, ...], _Words] = ()
    from_scratch: Annotated[bool, _Flag] = False
    amp: Annotated[bool, _Flag] = False
    tta: Annotated[bool, _Flag] = False
    restart: Annotated[bool, _Flag] = False
    report_only: Annotated[bool, _Flag] = False
    source: Annotated[Path | None, Parameter(name='--from')] = None
    out: Path | None = None
    bundle: Path | None = None
    commit: str | None = None
    work_dir: Path | None = None
    config_root: Path | None = None
    base: Annotated[Path, Parameter(parse=False)] = Path()

    def check(self, known: Iterable[str]) -> None:
        """Refuse options that do not go together.

        Args:
            known: names of the studies that there are.

        Raises:
            ValueError: names the flag, its value and what is expected.
        """
        known = list(known)
        if self.source and not self.report_only:
            raise ValueError('--from needs --report-only, which trains nothing')
        if not self.project and not self.source:
            raise ValueError('--project is missing; give a name, the results go to work_dirs/NAME')
        if self.source and not self.out and not self.project:
            raise ValueError('--from needs --out DIR or --project NAME, where the reports are to go')
        if not self.studies and not self.report_only:
            raise ValueError(f'no study given; expected one or more of {", ".join(known)}')
        if unknown := [name for name in self.studies if name not in known]:
            raise ValueError(f'{unknown[0]!r} is no study; expected one or more of {", ".join(known)}')
        for name in ('seeds', 'gpus', 'jobs', 'validations'):
            if getattr(self, name) < 1:
                raise ValueError(f'--{name}: {getattr(self, name)}; expected at least 1')
        if self.iters is not None and (self.iters < 1 or self.smoke):
            raise ValueError(
                '--iters: expected at least 1, and not with --smoke, which sets a length of its own'
            )

    @property
    def layout(self) -> layout.ProjectLayout:
        """The paths of the project."""
        work_dir = self.base / 'work_dirs' if self.work_dir is None else self.work_dir
        return layout.ProjectLayout.named(self.project or '', work_dir)

    @property
    def report_folder(self) -> Path:
        """Where the reports go."""
        return self.out or self.layout.report

    @property
    def configs(self) -> Path:
        """Folder of the configs, absolute."""
        return layout.config_root() if self.config_root is None else self.config_root.resolve()

    @property
    def model_config(self) -> str:
        """Name of the config that --model says, however it was typed."""
        return layout.config_name(self.model)

    @property
    def data_folder(self) -> Path:
        """The original images and labels, absolute."""
        return self.data.resolve()

    def arguments(self) -> list[str]:
        """The command line that gives these options: studies, and every option that is not the default."""
        words = list(self.studies)
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in ('studies', 'base') or value == option.default:
                continue
            words.append('--from' if option.name == 'source' else f'--{option.name.replace("_", "-")}')
            if isinstance(value, tuple):
                words += value
            elif value is not True:
                words.append(str(value))
        return words

    def models(self, names: Iterable[str]) -> list[str]:
        """Those of these models that ``only`` names; all where it names none of them."""
        names = list(names)
        chosen = [name for name in names if name.casefold() in {text.casefold() for text in self.only}]
        return chosen or names
