"""Configs of a new dataset: the dataset's own, and an experiment for each of three models."""

import ast
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from mmseg.datasets.normal_images import NORMAL_DIR
from mmseg.utils.class_names import class_colour
from wtaseg.io import write
from wtaseg.palette import SERIES, rgb
from wtaseg.runs.layout import config_root

from .geometry import Geometry
from .models import MODELS, Model

BATCH = 4
#: Training sees every image about this often, within the bounds in iterations.
_EPOCHS, _LEAST_ITERATIONS, _MOST_ITERATIONS = 200, 2000, 40_000


@dataclass(frozen=True)
class DatasetFacts:
    """What the configs of a dataset say.

    Attributes:
        name: of the config files: letters, digits, ``_`` and ``-``.
        data_root: path of the dataset as the config holds it.
        classes: names, class 0 first.
        shares: share of the pixels of the training images, per class.
        geometry: crops and windows.
        train_images: images that training sees in an epoch.
        value_range: (low, high) of images of more than 8 bits; None if there are none.
        mean, std: per channel in the order of the file, for images that are used with all their channels; empty
            for colour images, which use ImageNet's.
        normal_share: largest share of the images without label in the training; None: there are none.
    """

    name: str
    data_root: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    geometry: Geometry
    train_images: int
    value_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    normal_share: float | None = None

    @property
    def iterations(self) -> int:
        """Length of the training, in full thousands."""
        wanted = round(_EPOCHS * self.train_images / BATCH, -3)
        return int(min(_MOST_ITERATIONS, max(_LEAST_ITERATIONS, wanted)))

    def experiment(self, model: Model) -> str:
        """Name of an experiment below ``configs``, as ``wta-seg train`` takes it."""
        height, width = self.geometry.crop
        length = f'1xb{BATCH}-{self.iterations // 1000}k'
        return f'{model.folder}/{model.stem}_{length}_{self.name}-{width}x{height}'


def config_name(folder: str) -> str:
    """The name of a dataset in file names of configs: runs of other characters than letters and digits become ``_``."""
    return re.sub(r'[^\w-]+', '_', folder).strip('_') or 'dataset'


def palette(count: int) -> list[list[int]]:
    """A colour for each class: black for class 0, then colours that are told apart with common colour blindness."""
    series = [list(rgb(color)) for color in SERIES if color != '#000000']
    series = series[1:] + series[:1]  # vermilion first
    return [[0, 0, 0], *series, *(class_colour(index) for index in range(len(series) + 1, count))][:count]


def write_configs(facts: DatasetFacts, folder: Path) -> list[Path]:
    """Write the dataset's config and three experiments below ``folder``; returns the paths, the dataset's first.

    Outside the project's own ``configs``, the shared ``_base_`` files are copied to ``folder`` where they are missing.

    Raises:
        ValueError: a file of that name exists with other content.
    """
    files = {folder / '_base_/datasets' / f'{facts.name}.py': dataset_config(facts)}
    for model in MODELS:
        files[folder / f'{facts.experiment(model)}.py'] = experiment_config(facts, model)
    for path, text in files.items():
        if path.is_file() and path.read_text(encoding='utf-8') != text:
            raise ValueError(
                f'{path} exists with other content, perhaps edited; remove or rename it, or give the dataset another name'
            )
    if folder.resolve() != config_root().resolve():
        _copy_base(config_root() / '_base_', folder / '_base_')
    for path, text in files.items():
        write(path, text)
    return list(files)


def _copy_base(source: Path, target: Path) -> None:
    for path in sorted(source.rglob('*.py')):
        place = target / path.relative_to(source)
        if path.parent.name != 'datasets' and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def dataset_config(facts: DatasetFacts) -> str:
    """Text of ``configs/_base_/datasets/NAME.py``."""
    geometry = facts.geometry
    load = "type='LoadImageFromFile'" + (", color_type='unchanged'" if facts.mean else '')
    load += ', value_range=value_range' if facts.value_range is not None else ''
    meta = dict(classes=facts.classes, palette=palette(len(facts.classes)))
    head = [
        f'"""The dataset in {facts.data_root}: {len(facts.classes)} classes, written by ``wta-seg new``.',
        '',
        *(f'{line[0].upper()}{line[1:]}.' for line in geometry.explain()),
        '"""',
        '',
        f'data_root = {facts.data_root!r}',
        '# The one place of class names and colours; heads, loss and overlays follow from it.',
        f'classes = {meta["classes"]!r}',
        f'palette = {meta["palette"]!r}',
        '# Share of the pixels of the training images; alpha of FocalLoss follows from it (mmseg.utils.class_config).',
        f'class_shares = {tuple(float(f"{share:.3g}") for share in facts.shares)!r}',
    ]
    if facts.value_range is not None:
        head += [
            '# What becomes 0 and 255 in images of more than 8 bits.',
            f'value_range = {facts.value_range!r}',
        ]
        meta_text = 'metainfo = dict(classes=classes, palette=palette, value_range=value_range)'
    else:
        meta_text = 'metainfo = dict(classes=classes, palette=palette)'
    head += [
        meta_text,
        f'crop_size = {geometry.crop!r}  # height, width',
        f'inference_cfg = {_inference_cfg(geometry)}',
        *([f'mean = {list(facts.mean)!r}', f'std = {list(facts.std)!r}'] if facts.mean else []),
        '',
        f'load_image = dict({load})',
    ]
    return '\n'.join(
        [
            *head,
            *_pipelines(facts),
            _dataloader('train', facts.normal_share),
            *map(_dataloader, ('val', 'test')),
            _EVALUATORS,
        ]
    )


def _inference_cfg(geometry: Geometry) -> str:
    if not geometry.slide:
        return "dict(mode='whole')"
    return f"dict(mode='slide', crop_size=crop_size, stride={geometry.stride!r})"


def _pipelines(facts: DatasetFacts) -> list[str]:
    geometry = facts.geometry
    shrink = []
    if geometry.scale != 1:
        shrink = [f"    dict(type='Resize', scale_factor={geometry.scale:g}, keep_ratio=True),"]
    train, height, width = [*shrink], *geometry.working_size
    if geometry.same_size:
        ratios = f'scale={(width, height)!r}, ratio_range={geometry.ratios!r}'
        train = [f"    dict(type='RandomResize', {ratios}, keep_ratio=True),"]
    train += [
        "    dict(type='RareClassCrop', crop_size=crop_size, prob=0.5),",
        "    dict(type='RandomFlip', prob=0.5),",
        *([] if facts.mean else ["    dict(type='PhotoMetricDistortion'),"]),
    ]
    return [
        'train_pipeline = [',
        '    load_image,',
        "    dict(type='LoadAnnotations'),",
        *train,
        "    dict(type='PackSegInputs'),",
        ']',
        'test_pipeline = [',
        '    load_image,',
        *shrink,
        '    # after Resize, if any, so that the label map keeps its size; the prediction is scaled back to it',
        "    dict(type='LoadAnnotations'),",
        "    dict(type='PackSegInputs'),",
        ']',
        'tta_pipeline = [',
        '    load_image,',
        '    dict(',
        "        type='TestTimeAug',",
        '        transforms=[',
        f"            [dict(type='Resize', scale_factor={geometry.scale:g} * ratio) for ratio in (0.75, 1.0, 1.25)],",
        "            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],",
        "            [dict(type='LoadAnnotations')],",
        "            [dict(type='PackSegInputs')],",
        '        ],',
        '    ),',
        ']',
        '',
    ]


def _dataloader(split: str, normal_share: float | None = None) -> str:
    prefix = f"img_path='img_dir/{split}', seg_map_path='ann_dir/{split}'"
    share = ''
    if normal_share is not None:
        prefix += f', normal_path={NORMAL_DIR!r}'
        share = f'\n        max_normal_share={normal_share!r},  # images without label, at most'
    sampler = "dict(type='InfiniteSampler', shuffle=True)"
    if split != 'train':
        sampler = "dict(type='DefaultSampler', shuffle=False)"
    return f"""{split}_dataloader = dict(
    batch_size={BATCH if split == 'train' else 1},
    num_workers=2,
    persistent_workers=True,
    sampler={sampler},
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        data_prefix=dict({prefix}),{share}
        img_suffix=None,  # jpg, jpeg, png, bmp, tif and webp in any case
        metainfo=metainfo,
        pipeline={'train' if split == 'train' else 'test'}_pipeline,
    ),
)"""


_EVALUATORS = """
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='InspectionMetric', choose_operating_point=True, false_alarms=0.1),  # chosen in validations alone
]
test_evaluator = [val_evaluator[0], dict(type='InspectionMetric')]
"""


def experiment_config(facts: DatasetFacts, model: Model) -> str:
    """Text of the config of one experiment."""
    changes = ['data_preprocessor=dict(size=_base_.crop_size)', 'test_cfg=_base_.inference_cfg']
    if facts.mean:
        sizes = 'size=_base_.crop_size, mean=_base_.mean, std=_base_.std, bgr_to_rgb=False'
        changes[0] = f'data_preprocessor=dict({sizes})'
        changes += [f'backbone=dict(in_channels={len(facts.mean)})', 'pretrained=None']
    text = f'''"""{model.describe(not facts.mean)}; on {facts.data_root}, written by ``wta-seg new``.

Command: ``wta-seg train {facts.experiment(model)}``
"""

_base_ = [
    '../_base_/models/{model.base}.py',
    '../_base_/datasets/{facts.name}.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/schedule_40k.py',
]

from mmseg.utils.class_config import with_classes  # noqa: E402  below _base_, see with_classes

model = with_classes(
    _base_.model,
    _base_.classes,
    _base_.class_shares,
    {(',' + chr(10) + '    ').join(changes)},
)

max_iters = {facts.iterations}
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=max_iters // 40, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=max_iters // 40, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 10)
default_hooks = dict(checkpoint=dict(interval=max_iters // 10))
'''
    ast.parse(text)
    return text
