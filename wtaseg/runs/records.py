"""What a batch job has left in ``work_dirs/<project>``, read back as figures.

project/exp/<dir>/<model>/train/<time>/vis_data/{<time>.json, config.py}    validations, settings
                         /test/<time>/<time>.json, test/test_log.txt        results of the test
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from wtaseg.runs.select import read_validations

# Names of the published tables, by the type of the backbone, or else of the neck or the decode head
BY_BACKBONE = {
    'FastSCNN': 'Fast-SCNN',
    'BiSeNetV1': 'BiSeNetV1',
    'BiSeNetV2': 'BiSeNetV2',
    'MobileNetV3': 'MobileNetV3',
    'BEiT': 'BEiT',
    'VisionTransformer': 'ViT',
}
BY_NECK = {'JPU': 'FastFCN'}
BY_HEAD = {
    'ANNHead': 'ANN',
    'APCHead': 'APCNet',
    'ASPPHead': 'DeepLabV3',
    'CCHead': 'CCNet',
    'DAHead': 'DANet',
    'DepthwiseSeparableASPPHead': 'DeepLabV3+',
    'GCHead': 'GCNet',
    'PSPHead': 'PSPNet',
    'UPerHead': 'UPerNet',
}
# `…_aug`, `…_aug_peeling`, `wta_aug-512x512`, but not `augustus`
AUGMENTED = re.compile(r'(?:^|[_\-/.])aug(?:mented)?(?:[_\-/.]|$)(?:([a-z]+)(?=[_\-/.]|$))?')
WORDS = ('blistering', 'corrosion', 'dent', 'peeling', 'rust', 'scratch')
TABLE_ROW = re.compile(r'^\|\s*([^|]+?)\s*\|\s*([\d.]+|nan)\s*\|\s*([\d.]+|nan)\s*\|\s*$', re.MULTILINE)


@dataclass
class ClassScore:
    """IoU and accuracy of one class, in percent; NaN where the test set does not have the class."""

    iou: float
    acc: float


@dataclass
class RunResult:
    """One candidate of a project: its settings, its validations, its test.

    ``scores`` maps class names, in the order of their ids, to what the test gave; it is empty where there is
    none yet.
    """

    path: Path
    name: str
    scores: dict[str, ClassScore] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return bool(self.scores)

    @property
    def defects(self) -> dict[str, ClassScore]:
        """The scores without class 0, the background."""
        return dict(list(self.scores.items())[1:])

    @property
    def defect_miou(self) -> float:
        """Mean IoU over the defects, as the published tables count; a class without pixels is left out."""
        return _mean(score.iou for score in self.defects.values())

    @property
    def defect_macc(self) -> float:
        return _mean(score.acc for score in self.defects.values())

    @cached_property
    def config(self) -> Config | None:
        """The settings that the last training of this run was started with."""
        return self._last_config('train')

    @cached_property
    def test_config(self) -> Config | None:
        """The settings of the last test, where they differ from those of the training."""
        return self._last_config('test') or self.config

    def _last_config(self, stage: str) -> Config | None:
        files = sorted(self.path.glob(f'{stage}/*/vis_data/config.py'))
        return Config.fromfile(files[-1], import_custom_modules=False) if files else None

    @cached_property
    def validations(self) -> dict[int, dict]:
        """Records of the validations by iteration, over all logs of a resumed training."""
        logs = sorted(p for p in self.path.glob('train/*/vis_data/*.json') if p.stem == p.parents[1].name)
        return read_validations(logs)

    @property
    def model(self) -> str:
        """The architecture, as the published tables name it."""
        model = (self.config or {}).get('model') or {}
        head = model.get('decode_head') or {}
        head = head[-1] if isinstance(head, (list, tuple)) else head
        types = [(model.get(part) or {}).get('type', '') for part in ('backbone', 'neck')]
        backbone, neck, head = (str(name).rpartition('.')[2] for name in (*types, head.get('type', '')))
        known = BY_BACKBONE.get(backbone) or BY_NECK.get(neck) or BY_HEAD.get(head)
        return known or head.removesuffix('Head') or self.name.partition('/')[0]

    @property
    def augmentation(self) -> str | None:
        """``'peeling'`` and the like; ``''`` for augmented images of no known word, None for the original."""
        names = [*_paths((self.config or {}).get('train_dataloader', {})), self.name]
        for name in names:
            if match := AUGMENTED.search(name):
                return match.group(1) if match.group(1) in WORDS else ''
        return None

    @property
    def trained_on(self) -> str:
        return 'Original' if self.augmentation is None else 'w/ Augmented'

    def loss(self, parameters: bool = False) -> str:
        """Name of the loss of the (last) decode head, ``A + B`` for several, with gamma where asked for."""
        head = ((self.config or {}).get('model') or {}).get('decode_head') or {}
        head = head[-1] if isinstance(head, (list, tuple)) else head
        losses = head.get('loss_decode') or {'type': 'CrossEntropyLoss'}
        losses = losses if isinstance(losses, (list, tuple)) else [losses]
        return ' + '.join(_loss_name(loss, parameters) for loss in losses)


def _loss_name(loss: dict, parameters: bool) -> str:
    name = str(loss.get('type')).rpartition('.')[2]
    if parameters and 'gamma' in loss:
        name += f' γ={loss["gamma"]:g}'
    return name


def _paths(dataset) -> list[str]:
    """Every path that a (nested, concatenated, repeated) dataset of a config reads from."""
    if isinstance(dataset, dict):
        return [
            text
            for key, value in dataset.items()
            for text in (
                [str(value)] if key in ('data_root', 'img_path', 'ann_file') and value else _paths(value)
            )
        ]
    if isinstance(dataset, (list, tuple)):
        return [text for item in dataset for text in _paths(item)]
    return []


def _mean(values) -> float:
    values = [value for value in values if not math.isnan(value)]
    return sum(values) / len(values) if values else math.nan


def read_project(project: str | Path) -> list[RunResult]:
    """All runs of a project, by name.

    Raises:
        FileNotFoundError: the folder holds no run.
    """
    project = Path(project)
    found = sorted(
        {path.parent for path in (project / 'exp').rglob('train') if path.is_dir()}
        | {path.parent for path in (project / 'exp').rglob('test') if path.is_dir()}
    )
    runs = [read_run(path, path.relative_to(project / 'exp').as_posix()) for path in found]
    if not runs:
        raise FileNotFoundError(
            f'{project}: no run found; expected {project}/exp/<dir>/<model>/train as bash/run_main.sh makes it'
        )
    return runs


def read_run(path: Path, name: str) -> RunResult:
    """One run; the JSON of the last test counts, or else the table in its log."""
    files = sorted(file for file in path.glob('test/*/*.json') if file.stem == file.parent.name)
    metrics = json.loads(files[-1].read_text(encoding='utf-8')) if files else {}
    scores = {
        key.removeprefix('IoU.'): ClassScore(_percent(value), _percent(metrics.get(f'Acc.{key[4:]}')))
        for key, value in metrics.items()
        if key.startswith('IoU.')
    }
    log = path / 'test' / 'test_log.txt'
    if not scores and log.is_file():
        scores = read_table(log.read_text(encoding='utf-8', errors='replace'))
    return RunResult(path, name, scores, metrics)


def read_table(text: str) -> dict[str, ClassScore]:
    """The last ``| Class | IoU | Acc |`` table of a test log; empty where there is none."""
    heads = list(re.finditer(r'^\|\s*Class\s*\|\s*IoU\s*\|\s*Acc\s*\|\s*$', text, re.MULTILINE))
    if not heads:
        return {}
    rows = TABLE_ROW.findall(text[heads[-1].end() :])
    return {name: ClassScore(float(iou), float(acc)) for name, iou, acc in rows}


def _percent(value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def label_runs(runs: Sequence[RunResult]) -> list[str]:
    """What sets each run apart from the others of its model, as short as that can be.

    The dataset, as in the table of the final results; where that is not enough the loss and the augmentation,
    as in the loss study; then the loss with its gamma; at last the run's own name.
    """
    return _shortest(
        runs,
        lambda run: run.trained_on,
        lambda run: f'{run.loss()} {_aug_text(run)}',
        lambda run: f'{run.loss(parameters=True)} {_aug_text(run)}',
    )


def run_labels(runs: Sequence[RunResult]) -> list[str]:
    """Labels for a legend: as in the table, but with neither model nor augmentation where all share it."""
    if len({run.augmentation for run in runs}) > 1:
        labels = label_runs(runs)
    else:
        labels = _shortest(
            runs,
            # without a rival of the same model, the model alone says which run it is
            lambda run: run.loss() if len({r.model for r in runs}) == 1 else '',
            lambda run: run.loss(),
            lambda run: run.loss(parameters=True),
        )
    several = len({run.model for run in runs}) > 1
    return [f'{run.model} {label}'.strip() if several else label for run, label in zip(runs, labels)]


def _aug_text(run: RunResult) -> str:
    if run.augmentation is None:
        return 'w/o aug.'
    return f'w/ {run.augmentation.capitalize()} aug.' if run.augmentation else 'w/ aug.'


def _shortest(runs: Sequence[RunResult], *forms: Callable[[RunResult], str]) -> list[str]:
    """Labels in the first form that tells all runs of a model apart; their names where none does."""
    for form in forms:
        labels = [form(run) for run in runs]
        if len({(run.model, label) for run, label in zip(runs, labels)}) == len(runs):
            return labels
    return [run.name for run in runs]


def choose_runs(runs: Sequence[RunResult], names: Sequence[str] | None) -> list[RunResult]:
    """The runs of these names, in this order; all where none is named.

    Raises:
        ValueError: the project has no run of that name.
    """
    by_name = {run.name: run for run in runs}
    for name in names or ():
        if name not in by_name:
            raise ValueError(f'--runs: {name!r} is not in the project; it has {", ".join(by_name)}')
    return [by_name[name] for name in names] if names else list(runs)
