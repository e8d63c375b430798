"""The files that training and test leave in a run's folder, and the scores in them.

A run of a project has a folder for each stage, ``train/<time>`` and ``test/<time>``; a plain work folder of
mmsegmentation has both in one place, ``<time>``.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE_HEAD = re.compile(r'^\|\s*Class\s*\|\s*IoU\s*\|\s*Acc\s*\|\s*$', re.MULTILINE)
TABLE_ROW = re.compile(r'^\|\s*([^|]+?)\s*\|\s*([\d.]+|nan)\s*\|\s*([\d.]+|nan)\s*\|\s*$', re.MULTILINE)
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


def read_scores(path: Path) -> dict[str, ClassScore]:
    """Results of the last test: of its JSON file, or else of the table in its log; empty where there are none.

    Raises:
        ValueError: the JSON file is not JSON.
    """
    files = sorted(
        file
        for pattern in ('test/*/*.json', '*/*.json')
        for file in path.glob(pattern)
        if file.stem == file.parent.name
    )
    metrics = {}
    if files:
        try:
            metrics = json.loads(files[-1].read_text(encoding='utf-8'))
        except json.JSONDecodeError as error:
            raise ValueError(f'{files[-1]}: not JSON ({error}); test again to write it anew') from None
        if not isinstance(metrics, dict):
            raise ValueError(f'{files[-1]}: not the metrics of a test; expected a JSON object')
    scores = {
        key.removeprefix('IoU.'): ClassScore(to_number(value), to_number(metrics.get(f'Acc.{key[4:]}')))
        for key, value in metrics.items()
        if key.startswith('IoU.')
    }
    log = path / 'test/test_log.txt'
    if not scores and log.is_file():
        scores = read_table(log.read_text(encoding='utf-8', errors='replace'))
    return scores


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
