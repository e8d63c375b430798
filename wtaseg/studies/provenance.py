"""Where figures come from: the command, the code, the machine, the data."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
from pathlib import Path

from wtaseg.runs.layout import ROOT

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmcv-lite', 'numpy', 'opencv-python', 'opencv-python-headless')


def describe(data: Path, argv: list[str], commit: str | None = None) -> dict:
    """All of it, as JSON's types.

    Args:
        data: the data set.
        argv: the arguments of the command.
        commit: stands in where the code is no git checkout.
    """
    return {
        'command': shlex.join(['python', 'tools/study.py', *argv]),
        'commit': commit or git_commit(),
        'date': datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%d %H:%M UTC'),
        'machine': machine(),
        'packages': {'python': platform.python_version(), **versions()},
        'data': {'name': data.name, 'splits': class_shares(data)},
    }


def git_commit() -> str:
    """The commit, ``+ changes`` where tracked files differ from it; 'unknown' outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ['git', '-C', str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git('status', '--porcelain', '--untracked-files=no')
        return git('rev-parse', 'HEAD') + (' + changes' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'


def machine() -> dict:
    """Processor, cores, memory and GPUs."""
    import torch

    found = {'processor': _processor(), 'cores': os.cpu_count(), 'system': platform.platform(terse=True)}
    if hasattr(os, 'sysconf'):
        found['memory'] = f'{os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30:.0f} GiB'
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [torch.cuda.get_device_name(i) for i in range(count)]
    found['gpus'] = ', '.join(f'{names.count(name)} × {name}' for name in dict.fromkeys(names)) or 'none'
    return found


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.is_file() else []
    named = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return named[0] if named else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of the packages that the figures depend on, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def class_shares(data: Path) -> dict[str, dict]:
    """Images and the share of each class in the pixels, by split; empty where there are no labels."""
    import cv2
    import numpy as np

    from mmseg.datasets import WTADataset

    classes = WTADataset.METAINFO['classes']
    found = {}
    for folder in sorted(path for path in (data / 'ann_dir').glob('*') if path.is_dir()):
        pixels = np.zeros(256, np.int64)
        files = sorted(folder.rglob('*.png'))
        for file in files:
            labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            if labels is not None and labels.ndim == 2:
                pixels += np.bincount(labels.ravel(), minlength=256)[:256]
        total = max(1, int(pixels[: len(classes)].sum()))
        shares = {name: float(100 * count / total) for name, count in zip(classes, pixels)}
        found[folder.name] = {'images': len(files), 'percent': shares}
    order = {'train': 0, 'val': 1, 'test': 2}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 3), item[0])))
