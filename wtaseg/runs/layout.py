"""Where the project is, and every path inside ``work_dirs/<project>``.

``exp`` is the published tree; what the batch job records for itself is in ``job``::

    work_dirs/<project>/
        exp/<dir>/<model>/run.json                       what the run is (RunSpec)
                         /train/<time>/…                 logs, config.py, scalars.json
                         /train/ckpt/…                   checkpoints
                         /test/test_log.txt, <image>.png, <time>/<time>.json, pred/
        job/<dir>/<model>/state.json, lock, train_log.txt, job.log
        job/summary.json
        replaced/<dir>/<model>-<time>/…                  results set aside by --restart
        study/configs, study/lists, report/              what `wta-seg study` writes
"""

import difflib
import importlib.resources
import os
from dataclasses import dataclass
from pathlib import Path

SPEC_FILE = 'run.json'
CHECKPOINTS = 'ckpt'


def project_root() -> Path | None:
    """The clone that this package belongs to; None where it was installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / 'tools/train.py').is_file() and (root / 'configs').is_dir() else None


def config_root() -> Path:
    """The configs: those of the clone, or else those that travel in the wheel.

    Raises:
        FileNotFoundError: the installation has none.
    """
    root = project_root()
    folder = root / 'configs' if root else Path(str(importlib.resources.files('wtaseg') / 'configs'))
    if not folder.is_dir():
        raise FileNotFoundError(
            f'{folder} does not exist: this installation has no configs; install it again'
        )
    return folder


def relative_to_base(path: Path, base: Path) -> Path:
    """A path as configs have it: relative to ``base`` where it is inside, so that both can be moved together.

    Args:
        path: absolute, or counted from ``base``.
        base: folder that relative paths of data count from.
    """
    base = base.resolve()
    # not resolved: a link inside base to data elsewhere stays a path inside base
    path = Path(os.path.normpath(base / path))
    return path.relative_to(base) if path.is_relative_to(base) else path


def config_name(text: str) -> str:
    """``<dir>/<model>`` of a config however it was typed: blanks around, ``configs/`` in front, ``.py`` behind."""
    return text.strip().removeprefix('./').removeprefix('configs/').removesuffix('.py')


def near_configs(name: str, root: Path) -> list[str]:
    """Names below ``root`` that resemble ``name``, the most similar first, at most three."""
    names = [
        path.relative_to(root).with_suffix('').as_posix()
        for path in root.glob('*/*.py')
        if path.parent.name != '_base_'
    ]
    # a dataset, or a model without its folder
    near = sorted(path for path in names if Path(name).name in path)[:3]
    near = near or difflib.get_close_matches(name, names, n=3)
    if not near and '/' not in name:
        by_model = {path.rpartition('/')[2]: path for path in names}
        near = [by_model[model] for model in difflib.get_close_matches(name, by_model, n=3)]
    return near


def find_config(name: str | Path, root: Path | None = None) -> Path:
    """The file of an experiment's config.

    Args:
        name: a path from the current folder, or ``<dir>/<model>`` below ``root``, with or without ``configs/`` and
            ``.py``.
        root: folder of the configs; default: ``configs`` in the current folder, then :func:`config_root`.

    Raises:
        FileNotFoundError: there is no such config; the message has the most similar names.
    """
    text = str(name).strip()
    if text.endswith('.py') and Path(text).is_file():
        return Path(text).resolve()
    roots = [root] if root else [*filter(Path.is_dir, [Path('configs')]), config_root()]
    for folder in roots:
        path = folder / f'{config_name(text)}.py'
        if path.is_file():
            return path.resolve()
    near = list(dict.fromkeys(near for folder in roots for near in near_configs(config_name(text), folder)))[
        :3
    ]
    raise FileNotFoundError(f'{path} does not exist' + (f'; near: {", ".join(near)}' if near else ''))


@dataclass(frozen=True)
class RunLayout:
    """The paths of one run of a project.

    Attributes:
        project: ``work_dirs/<project>``.
        name: the run's folder below ``exp``, ``<dir>/<model>``.
    """

    project: Path
    name: str

    @classmethod
    def of(cls, folder: str | Path) -> 'RunLayout | None':
        """The layout that ``<project>/exp/<name>`` is part of; None for a folder of another tree."""
        parts = Path(folder).absolute().parts
        places = [index for index, part in enumerate(parts) if part == 'exp' and 0 < index < len(parts) - 1]
        if not places:
            return None
        return cls(Path(*parts[: places[-1]]), '/'.join(parts[places[-1] + 1 :]))

    @property
    def exp(self) -> Path:
        """Everything the run computes."""
        return self.project / 'exp' / self.name

    @property
    def spec(self) -> Path:
        """The run's :class:`~wtaseg.runs.spec.RunSpec`."""
        return self.exp / SPEC_FILE

    @property
    def train(self) -> Path:
        """Work folder of the training."""
        return self.exp / 'train'

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of the training."""
        return self.train / CHECKPOINTS

    @property
    def test(self) -> Path:
        """Work folder of the test, and an image of each result."""
        return self.exp / 'test'

    @property
    def predictions(self) -> Path:
        """Predicted class ids of the test images, as PNGs."""
        return self.test / 'pred'

    @property
    def test_log(self) -> Path:
        """Output of the last test; the table of its results is at the end."""
        return self.test / 'test_log.txt'

    @property
    def job(self) -> Path:
        """What the batch job records about the run."""
        return self.project / 'job' / self.name

    @property
    def state(self) -> Path:
        """Which stages are done, and with which settings."""
        return self.job / 'state.json'

    @property
    def lock(self) -> Path:
        """Locked while a job works on the run."""
        return self.job / 'lock'

    @property
    def train_log(self) -> Path:
        """Output of the last training."""
        return self.job / 'train_log.txt'

    @property
    def job_log(self) -> Path:
        """All output of the run where several run side by side."""
        return self.job / 'job.log'


@dataclass(frozen=True)
class ProjectLayout:
    """The paths of a project, ``work_dirs/<project>``."""

    path: Path

    @classmethod
    def named(cls, name: str, work_dir: str | Path = 'work_dirs') -> 'ProjectLayout':
        """The project of that name; a relative ``work_dir`` counts from the current folder.

        Raises:
            ValueError: the name cannot be that of a folder.
        """
        folder = name.strip()
        if folder in ('', '.', '..') or '/' in folder or '\\' in folder:
            raise ValueError(f'--project: {folder!r} cannot be the name of a folder below the work directory')
        return cls(Path(work_dir).resolve() / folder)

    def run(self, name: str) -> RunLayout:
        """The run whose folder below ``exp`` is ``name``."""
        return RunLayout(self.path, name)

    @property
    def exp(self) -> Path:
        """The runs."""
        return self.path / 'exp'

    @property
    def summary(self) -> Path:
        """Summary of the last batch job."""
        return self.path / 'job/summary.json'

    @property
    def replaced(self) -> Path:
        """Results that ``--restart`` has set aside."""
        return self.path / 'replaced'

    @property
    def study_configs(self) -> Path:
        """Configs that the studies have written."""
        return self.path / 'study/configs'

    @property
    def study_lists(self) -> Path:
        """Lists of image names that the studies have written."""
        return self.path / 'study/lists'

    @property
    def report(self) -> Path:
        """Reports of the studies."""
        return self.path / 'report'
