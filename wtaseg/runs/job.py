"""What a batch job is: its experiments, what they share, and how each ended."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wtaseg.runs.layout import ProjectLayout, config_name, project_root
from wtaseg.runs.records import RunRecord
from wtaseg.runs.settings import parse_options


@dataclass(frozen=True)
class Experiment:
    """Something to train and test.

    Attributes:
        config: ``<dir>/<model>`` below the job's config root.
        name: folder of its results below ``exp``.
        overrides: ``KEY=VALUE`` for its config, after those of the job.
    """

    config: str
    name: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """What all experiments of a batch job share; every path but ``data`` is absolute.

    Attributes:
        project: where the results go.
        config_root: folder of the configs.
        gpus: GPUs of each training.
        overrides: ``KEY=VALUE`` for every config.
        train_flags, test_flags: flags for ``tools/train.py`` and ``tools/test.py``.
        restart: set results of changed settings aside and train again, instead of refusing.
        find_best: a program of the user's own that selects the checkpoint to test; None: the project's rule.
        draw: writes an image of each test result of a run; returns how many it wrote.
        data: dataset folder that replaces ``data_root`` of every split, relative to ``base`` or absolute; None: as
            the configs say.
        base: what relative paths of data in configs count from; training and test run there.
        root: the clone whose tools are run; None: those of the installed package.
    """

    project: ProjectLayout
    config_root: Path
    gpus: int = 1
    overrides: tuple[str, ...] = ()
    train_flags: tuple[str, ...] = ()
    test_flags: tuple[str, ...] = ()
    restart: bool = False
    find_best: Path | None = None
    draw: Callable[[RunRecord], int] | None = None
    data: Path | None = None
    base: Path = field(default_factory=Path.cwd)
    root: Path | None = field(default_factory=project_root)


@dataclass(frozen=True)
class Outcome:
    """How an experiment of a job ended.

    Attributes:
        status: ``'done'``, ``'skipped'`` (nothing was left to do) or ``'failed'``.
        seconds: how long it took in this job.
        why: why it failed, in one line.
        log: where to read on about it.
        checkpoint: the tested checkpoint, relative to the run's folder.
    """

    experiment: Experiment
    status: str
    seconds: float = 0.0
    why: str | None = None
    log: Path | None = None
    checkpoint: str | None = None

    def __str__(self) -> str:
        name = self.experiment.name
        if self.status == 'failed':
            return f'FAILED {name}: {self.why}' + (f'\n    log: {self.log}' if self.log else '')
        if self.status == 'skipped':
            return f'skipped {name}: finished before'
        return f'done {name} in {self.seconds:.0f} s'

    def to_json(self) -> dict:
        """A row of ``job/summary.json``."""
        row = {
            'candidate': self.experiment.name,
            'status': self.status,
            'why': self.why,
            'log': str(self.log) if self.log else None,
            'seconds': round(self.seconds, 1),
        }
        return row | ({'checkpoint': self.checkpoint} if self.status == 'done' else {})


def parse_experiment(words: Sequence[str], where: str) -> Experiment:
    """``['dir/model', '--as', 'dir/name', 'key=value', …]`` as an experiment.

    Raises:
        ValueError: the words are not of this form; the message begins with ``where``.
    """
    words = list(words)
    # as a list copied from an older run_main.sh may spell it: blanks, configs/ in front, .py behind
    config = config_name(words.pop(0))
    name = config
    if words[:1] == ['--as']:
        if len(words) < 2:
            raise ValueError(f'{where}: --as needs a name, DIR/NAME')
        name, words = words[1], words[2:]
    for path in (config, name):
        if not path or Path(path).is_absolute() or '..' in Path(path).parts:
            raise ValueError(f'{where}: {path!r} is not a candidate; expected DIR/MODEL below the configs')
    try:
        parse_options(words)
    except ValueError as error:
        raise ValueError(f'{where}: {error}') from None
    return Experiment(config, name, tuple(words))


def read_experiments(file: Path) -> list[Experiment]:
    """The experiments of a text file, one a line; ``#`` begins a comment.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line has another form than ``DIR/MODEL [--as DIR/NAME] [KEY=VALUE …]``.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f'--candidates-file: {file} does not exist; give a text file with a candidate in each line'
        )
    lines = enumerate(file.read_text(encoding='utf-8').splitlines(), start=1)
    split = ((shlex.split(line, comments=True), f'{file}:{number}') for number, line in lines)
    return unique_experiments((parse_experiment(words, where), where) for words, where in split if words)


def named_experiments(names: Iterable[str]) -> list[Experiment]:
    """The experiments of these configs, ``DIR/MODEL`` each.

    Raises:
        ValueError: a name has another form.
    """
    where = '--candidates'
    return unique_experiments((parse_experiment([name], where), where) for name in names if name.strip())


def unique_experiments(experiments: Iterable[tuple[Experiment, str]]) -> list[Experiment]:
    """Each experiment once; each comes with the place it was read from.

    Raises:
        ValueError: two different ones have the same name, or there is none.
    """
    by_name: dict[str, Experiment] = {}
    for experiment, where in experiments:
        if by_name.setdefault(experiment.name, experiment) != experiment:
            raise ValueError(
                f'{where}: {experiment.name} stands for two different candidates; name one of them with --as'
            )
    if not by_name:
        raise ValueError('no candidate given; expected at least one DIR/MODEL')
    return list(by_name.values())
