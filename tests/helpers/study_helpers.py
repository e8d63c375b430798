"""Small studies: a dataset of squares, made-up results, and runs inside this process."""

import contextlib
import itertools
import json
from pathlib import Path

import cv2
import mmengine.config.config
import numpy as np

from mmseg.visualization import SegLocalVisualizer
from wtaseg.cli import test, train
from wtaseg.report.summary import Marking
from wtaseg.runs import execute
from wtaseg.runs.records import DONE, UNFINISHED, ClassScore
from wtaseg.studies.provenance import Provenance
from wtaseg.studies.results import (
    ExperimentRecord,
    RowRecord,
    StudyRecord,
    StudyResults,
    StudyRun,
    StudySettings,
)

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ('Attached IoU', 'Attached Acc', 'Broken IoU', 'Broken Acc', 'mIoU', 'mAcc')
# README, Table 4
PUBLISHED = {
    'Original': (30.04, 34.39, 22.21, 37.02, 26.125, 35.705),
    'blistering': (45.2, 73.98, 21.42, 49.18, 33.31, 61.58),
    'corrosion': (28, 73.7, 23.65, 44.91, 25.825, 59.305),
    'dent': (46.81, 70.06, 22.96, 37, 34.885, 53.53),
    'peeling': (36.94, 78.25, 23.58, 38.8, 30.26, 58.525),
    'rust': (40.07, 51.4, 23.34, 39.95, 31.705, 45.675),
    'scratch': (27.3, 79.21, 22.57, 40.47, 24.935, 59.84),
}
PROVENANCE = {
    'command': 'python tools/study.py losses --project p',
    'commit': 'c0ffee',
    'date': '2025-01-01 00:00 UTC',
    'machine': {'processor': 'P', 'cores': 2, 'system': 'S', 'memory': '8 GiB', 'gpus': 'none'},
    'packages': {'python': '3.12', 'torch': '2.11'},
    'data': {'name': 'd', 'splits': {'train': {'images': 4, 'percent': {'attached': 0.2, 'broken': 0.03}}}},
}
_RUN_NUMBERS = itertools.count()


def write_blades(root: Path, counts=(6, 2, 2), side=64) -> Path:
    """Noise with a golden and a silver square in every image."""
    rng = np.random.default_rng(0)
    for split, count in zip(('train', 'val', 'test'), counts):
        for i in range(count):
            labels = np.zeros((side, side), np.uint8)
            labels[8 : 20 + i, 8:24], labels[40:44, 8 : 50 + i] = 1, 2
            image = rng.integers(40, 80, (side, side, 3), dtype=np.uint8)
            image[labels == 1], image[labels == 2] = (40, 160, 220), (230, 230, 230)
            write_pair(root, split, f'{split}{i}', image, labels)
    return root


def write_pair(root: Path, split: str, name: str, image: np.ndarray, labels: np.ndarray) -> None:
    for kind, pixels in (('img_dir', image), ('ann_dir', labels)):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / kind / split / f'{name}.png'), pixels)


def brighten_defects(data: Path, word: str, strength: float = 1.2) -> Path:
    """``<data>_aug_<word>``: the originals, and copies in which the defects are brighter, with the same labels."""
    root = data.with_name(f'{data.name}_aug_{word}')
    for file in sorted((data / 'img_dir/train').glob('*.png')):
        image = cv2.imread(str(file))
        labels = cv2.imread(str(data / 'ann_dir/train' / file.name), cv2.IMREAD_UNCHANGED)
        write_pair(root, 'train', file.stem, image, labels)
        edited = image.copy()
        edited[labels > 0] = np.clip(edited[labels > 0] * strength, 0, 255)
        write_pair(root, 'train', f'{file.stem}__{word}', edited, labels)
    return root


def made_up_results(
    rows: dict, marking: Marking, name='losses', columns=('Dataset', 'Loss Func.'), validations=None
) -> StudyResults:
    """Results from ``{(group, label): [four metrics of each seed]}``."""
    results = StudyResults()
    records = []
    for (group, label), seeds in rows.items():
        experiment = f'net/{"".join(c for c in group + label if c.isalnum())}'
        names = tuple(f'{experiment}-seed{seed}' for seed in range(len(seeds)))
        records.append(RowRecord(group, label, experiment, names))
        changes = (f"loss: 'FocalLoss' is now '{label}'",) if results.experiments else ()
        results.experiments[experiment] = ExperimentRecord('net/base', ('data_root: a',), changes)
        for seed, values in enumerate(seeds):
            scores = (
                {'attached': ClassScore(*values[:2]), 'broken': ClassScore(*values[2:4])} if values else {}
            )
            results.runs[names[seed]] = StudyRun(
                seed=seed,
                status=DONE if values else UNFINISHED,
                scores=scores,
                validations=validations or {},
                seconds=10.0,
                checkpoint='train/ckpt/iter_4.pth',
                iteration_seconds=0.1,
            )
    results.studies[name] = StudyRecord(
        title='A title',
        question='Which <is> best?',
        columns=tuple(columns),
        marking=marking,
        rows=tuple(records),
        settings=StudySettings(project='p'),
        provenance=Provenance.from_json(PROVENANCE),
    )
    return StudyResults.from_json(json.loads(json.dumps(results.to_json())))


def run_in_process(monkeypatch) -> None:
    """Have runs call training and test in this process: no import is paid twice."""
    tools = {'train': train.main, 'test': test.main}

    def run_tool(command, log, cwd, context, keep_open) -> int:
        # mmengine keeps what it logs with: by the experiment's name, down to the second, and by the config's
        unique = f'experiment_name=study{next(_RUN_NUMBERS)}'
        SegLocalVisualizer._instance_dict.clear()
        options = [unique] if '--cfg-options' in command else ['--cfg-options', unique]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('w') as file, contextlib.redirect_stdout(file):
            return tools[Path(command[1]).stem]([*command[2:], *options])

    # yapf lays out a config a dozen times a run, which takes longer than its four iterations
    monkeypatch.setattr(mmengine.config.config, 'FormatCode', lambda text, **options: (text, True))
    monkeypatch.setattr(execute, 'run_logged', run_tool)
