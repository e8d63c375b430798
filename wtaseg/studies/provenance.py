"""Where results come from: the command, the code, the machine, the data."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wtaseg.report.summary import NORMAL
from wtaseg.runs import layout

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmcv-lite', 'numpy', 'opencv-python', 'opencv-python-headless')
# what WTADataset, as published, calls class 0
NORMAL_IN_METAINFO = 'defect'
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Machine:
    """What the runs were computed on."""

    processor: str
    cores: int | None
    system: str
    memory: str = ''
    gpus: str = 'none'

    def __str__(self) -> str:
        return f'{self.cores} cores, {self.processor}, {self.memory}; GPU: {self.gpus}; {self.system}'


@dataclass(frozen=True)
class Split:
    """Number of images, and the share of each class in their labelled pixels, in percent by class name."""

    images: int
    percent: dict[str, float]

    def __str__(self) -> str:
        shares = ', '.join(
            f'{NORMAL if name == NORMAL_IN_METAINFO else name} {share:.4f} %'
            for name, share in self.percent.items()
        )
        return f'{self.images} images; {shares} of the pixels'


@dataclass(frozen=True)
class DataDescription:
    """A dataset by its name and splits."""

    name: str
    splits: dict[str, Split]


@dataclass(frozen=True)
class Provenance:
    """Where the results of a study come from.

    Attributes:
        command: that was run.
        commit: of the code.
        date: when the command was started.
        machine: it ran on.
        packages: versions by name.
        data: the original images.
    """

    command: str
    commit: str
    date: str
    machine: Machine
    packages: dict[str, str]
    data: DataDescription

    @property
    def lines(self) -> dict[str, str]:
        """As texts, by heading."""
        lines = {
            'Commit': self.commit,
            'Date': self.date,
            'Machine': str(self.machine),
            'Packages': ', '.join(f'{name} {version}' for name, version in self.packages.items()),
        }
        return lines | {f'{self.data.name}, {name}': str(split) for name, split in self.data.splits.items()}

    @classmethod
    def from_json(cls, content: dict) -> 'Provenance':
        """From what ``dataclasses.asdict`` made of it."""
        data = content['data']
        splits = {name: Split(**split) for name, split in data['splits'].items()}
        parts = {'machine': Machine(**content['machine']), 'data': DataDescription(data['name'], splits)}
        return cls(**content | parts)


def describe(data: Path, arguments: Sequence[str], commit: str | None = None) -> Provenance:
    """Describe the present command.

    Args:
        data: the dataset.
        arguments: of the command.
        commit: of the code, where it is no git checkout.
    """
    return Provenance(
        command=shlex.join([*program('study').split(), *arguments]),
        commit=commit or git_commit(),
        date=datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%d %H:%M UTC'),
        machine=machine(),
        packages={'python': platform.python_version(), **versions()},
        data=DataDescription(data.name, class_shares(data)),
    )


def program(name: str) -> str:
    """How a command is called here: as a program of the clone, or else as a subcommand."""
    if layout.project_root() is None:
        return f'wta-seg {name}'
    return 'python augment/run.py' if name == 'augment' else f'python tools/{name}.py'


def git_commit() -> str:
    """The commit, ``+ changes`` where tracked files differ from it; 'unknown' outside a checkout."""
    root = layout.project_root()
    if root is None:
        return 'unknown'

    def git(*words: str) -> str:
        return subprocess.run(
            ['git', '-C', str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', 'HEAD') + (' + changes' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def machine() -> Machine:
    """Processor, cores, memory and GPUs of this machine."""
    import torch

    memory = ''
    if hasattr(os, 'sysconf'):
        memory = f'{os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30:.0f} GiB'
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [torch.cuda.get_device_name(i) for i in range(count)]
    gpus = ', '.join(f'{names.count(name)} × {name}' for name in dict.fromkeys(names)) or 'none'
    return Machine(_processor(), os.cpu_count(), platform.platform(terse=True), memory, gpus)


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of the packages that the results depend on, as far as they are installed."""
    result = {}
    for name in PACKAGES:
        try:
            result[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return result


def class_shares(data: Path) -> dict[str, Split]:
    """Images and the share of each class in the labelled pixels, by split; empty where there are no labels.

    Files that are no index labels count as images without pixels; ``wta-seg check`` names them.
    """
    import numpy as np

    from mmseg.datasets import WTADataset
    from mmseg.datasets.label_counts import count_ids
    from mmseg.datasets.label_files import read_pixels

    classes = WTADataset.METAINFO['classes']
    folders = [path for path in (data / 'ann_dir').glob('*') if path.is_dir()]
    result = {}
    for folder in sorted(folders, key=lambda path: (_place(path.name), path.name)):
        pixels = np.zeros(len(classes), np.int64)
        files = sorted(folder.rglob('*.png'))
        for file in files:
            labels = read_pixels(str(file))
            if isinstance(labels, np.ndarray) and labels.ndim == 2:
                pixels += count_ids(labels)[0][: len(classes)]
        total = max(1, int(pixels.sum()))
        percent = {name: float(100 * count / total) for name, count in zip(classes, pixels)}
        result[folder.name] = Split(len(files), percent)
    return result


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)
