"""The files that training and test leave in a run's folder, and the scores in them.

A run of a project has a folder for each stage, ``train/<time>`` and ``test/<time>``; a plain work folder of
mmsegmentation has both in one place, ``<time>``.
"""

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE_HEAD = re.compile(r'^\|\s*Class\s*\|\s*IoU\s*\|\s*Acc\s*\|\s*$', re.MULTILINE)
TABLE_ROW = re.compile(r'^\|\s*([^|]+?)\s*\|\s*([\d.]+|nan)\s*\|\s*([\d.]+|nan)\s*\|\s*$', re.MULTILINE)
#: In the recorded config of a smoke run.
SMOKE_LINE = re.compile(r'^smoke ?= ?True$', re.MULTILINE)
# how deep below a folder plain work folders are looked for
PLAIN_DEPTH = 3


@dataclass(frozen=True)
class ClassScore:
    """IoU and accuracy of one class, in percent; NaN where the test set does not have the class."""

    iou: float
    acc: float


def recorded_configs(path: Path, stage: str) -> list[Path]:
    """Recorded configs of a stage, oldest first; a plain work folder has one place for both stages."""
    in_project = sorted(path.glob(f'{stage}/*/vis_data/config.py'))
    return in_project or sorted(path.glob('*/vis_data/config.py'))


def is_smoke_run(path: Path) -> bool:
    """Whether the last training in a run's folder was a trial of a few iterations, ``train --smoke``."""
    configs = recorded_configs(path, 'train')
    return bool(configs and SMOKE_LINE.search(configs[-1].read_text(encoding='utf-8', errors='replace')))


def training_logs(path: Path) -> list[Path]:
    """The JSON logs of a run's training in the order of time; several where it was resumed."""
    for pattern in ('train/*/vis_data/*.json', '*/vis_data/*.json'):
        logs = sorted(file for file in path.glob(pattern) if file.stem == file.parents[1].name)
        if logs:
            return logs
    return []


def plain_work_folders(folder: Path) -> list[Path]:
    """Work folders of mmsegmentation at and below a folder."""
    folders = set()
    for depth in range(PLAIN_DEPTH):
        for pattern in ('*/vis_data/config.py', '*/*.json'):
            for file in folder.glob('*/' * depth + pattern):
                if pattern.startswith('*/vis') or file.stem == file.parent.name:
                    folders.add(file.parents[2] if file.name == 'config.py' else file.parents[1])
    return sorted(folders)


def read_scores(path: Path, metrics: str | None = None) -> dict[str, ClassScore]:
    """Results of the last test: of its JSON file, or else of the table in its log; empty where there are none.

    A truncated file, as a killed test leaves it, is skipped and reported on stderr.

    Args:
        path: the run's folder.
        metrics: the JSON file, relative to it, where that is known.
    """
    named = path / metrics if metrics else None
    if named is not None and named.is_file():
        files = [named]
    else:
        json_files = (file for pattern in ('test/*/*.json', '*/*.json') for file in path.glob(pattern))
        files = sorted((file for file in json_files if file.stem == file.parent.name), reverse=True)
    for file in files:
        if scores := _json_scores(file):
            return scores
    log = path / 'test/test_log.txt'
    return read_table(log.read_text(encoding='utf-8', errors='replace')) if log.is_file() else {}


def _json_scores(file: Path) -> dict[str, ClassScore]:
    try:
        metrics = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError):
        print(f'{file}: not complete JSON, skipped', file=sys.stderr)
        return {}
    items = metrics.items() if isinstance(metrics, dict) else ()
    return {
        key.removeprefix('IoU.'): ClassScore(to_number(value), to_number(metrics.get(f'Acc.{key[4:]}')))
        for key, value in items
        if key.startswith('IoU.')
    }


def read_table(text: str) -> dict[str, ClassScore]:
    """The last ``| Class | IoU | Acc |`` table of a test log; empty where there is none."""
    heads = list(TABLE_HEAD.finditer(text))
    if not heads:
        return {}
    rows = TABLE_ROW.findall(text[heads[-1].end() :])
    return {name: ClassScore(float(iou), float(acc)) for name, iou, acc in rows}


def to_number(value: Any) -> float:
    """A logged value as a float; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
