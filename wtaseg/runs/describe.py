"""A run's :class:`~wtaseg.runs.spec.RunSpec`, from its config.

The config says it: ``model_name`` and ``augmentation`` at the top level, the losses of the last decode head, the
classes of the dataset. What an edited dataset's own manifest says about its words comes before the config. A config
without these two keys (one of mmsegmentation, or older than they are) is described by its parts: the types of its
layers, and the name that ``augment/run.py`` gives to its output folder.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wtaseg.runs.spec import RunSpec

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
MANIFEST = 'manifest.jsonl'


def describe_run(
    config: Mapping[str, Any],
    name: str,
    config_name: str = '',
    overrides: Sequence[str] = (),
    base: Path | None = None,
) -> RunSpec:
    """What is known about a run.

    Args:
        config: its config, with the overrides in it; whatever it lacks stays unknown.
        name: the run's folder below ``exp``.
        config_name: the experiment's config, ``<dir>/<model>`` or a path.
        overrides: ``KEY=VALUE``, as they were given.
        base: what relative paths of data count from; default: the current folder.
    """
    datasets = list(leaf_datasets((config.get('train_dataloader') or {}).get('dataset')))
    loss, parameters = _losses(config)
    classes, palette = _classes(datasets)
    return RunSpec(
        name=name,
        config=config_name,
        model=config.get('model_name') or model_from_parts(config) or name.partition('/')[0],
        dataset=' + '.join(dict.fromkeys(Path(root).name for root in map(_root, datasets) if root)),
        augmentation=_augmentation(config, datasets, base or Path.cwd()),
        loss=loss,
        loss_parameters=parameters,
        classes=classes,
        palette=palette,
        seed=(config.get('randomness') or {}).get('seed'),
        overrides=tuple(overrides),
    )


def leaf_datasets(dataset: Mapping | None) -> Iterator[Mapping]:
    """The configs of the datasets that read files, inside those that concatenate, repeat or mix them."""
    from mmseg.utils.walk import dataset_configs

    for config in dataset_configs(dataset) if dataset else ():
        if not {'dataset', 'datasets'} & config.keys():
            yield config


def _root(dataset: Mapping) -> str:
    """A dataset's ``data_root``, or what stands in for it."""
    prefix = dataset.get('data_prefix') or {}
    return str(dataset.get('data_root') or prefix.get('img_path') or dataset.get('ann_file') or '')


def _last_head(config: Mapping) -> Mapping:
    head = (config.get('model') or {}).get('decode_head') or {}
    return head[-1] if isinstance(head, (list, tuple)) else head


def _type(part: Any) -> str:
    """The type in a config's part, without its scope: ``'FocalLoss'``."""
    return str((part or {}).get('type') or '').rpartition('.')[2]


def model_from_parts(config: Mapping) -> str:
    """The architecture by the types of its parts; ``''``: unknown."""
    model = config.get('model') or {}
    head = _type(_last_head(config))
    known = BY_BACKBONE.get(_type(model.get('backbone'))) or BY_NECK.get(_type(model.get('neck')))
    return known or BY_HEAD.get(head) or head.removesuffix('Head')


def _losses(config: Mapping) -> tuple[str, dict[str, float]]:
    """The names of the losses and their numbers, see :class:`RunSpec`; ``''`` without a decode head."""
    head = _last_head(config)
    if not head:
        return '', {}
    losses = head.get('loss_decode') or {'type': 'CrossEntropyLoss'}
    losses = list(losses) if isinstance(losses, (list, tuple)) else [losses]
    names = [_type(loss) for loss in losses]
    parameters = {}
    for name, loss in zip(names, losses):
        for key, value in loss.items():
            if key != 'loss_weight' and isinstance(value, (int, float)) and not isinstance(value, bool):
                parameters[key if len(losses) == 1 else f'{name}.{key}'] = value
    return ' + '.join(names), parameters


def _classes(datasets: Sequence[Mapping]) -> tuple[tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """Classes and palette of the first dataset: its ``metainfo``, over METAINFO of its type."""
    if not datasets:
        return (), ()
    info = {**_metainfo(_type(datasets[0])), **(datasets[0].get('metainfo') or {})}
    palette = info.get('palette') or ()
    if not all(isinstance(color, (list, tuple)) for color in palette):
        palette = ()
    classes = info.get('classes') or ()
    classes = tuple(classes) if isinstance(classes, (list, tuple)) else ()
    return classes, tuple(tuple(map(int, color)) for color in palette)


def _metainfo(dataset_type: str) -> dict:
    """METAINFO of a dataset class of this project; empty for any other."""
    if not dataset_type:
        return {}
    import mmseg.datasets  # noqa: F401
    from mmseg.registry import DATASETS

    return getattr(DATASETS.module_dict.get(dataset_type), 'METAINFO', {})


def _augmentation(config: Mapping, datasets: Sequence[Mapping], base: Path) -> str | None:
    roots = [_root(dataset) for dataset in datasets]
    words = {word for root in roots for word in edited_words(base / root)}
    if words:
        return words.pop() if len(words) == 1 else ''
    if 'augmentation' in config:
        return config['augmentation']
    return augmentation_from_names(roots)


def edited_words(root: Path) -> set[str]:
    """The words of the accepted edits in a dataset's manifest; empty without a manifest."""
    path = root / MANIFEST
    if not path.is_file():
        return set()
    words = set()
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and row.get('kind') == 'edit' and row.get('accepted'):
            words.add(str(row.get('word') or ''))
    return words


def augmentation_from_names(names: Sequence[str]) -> str | None:
    """The word in the first name that has the form ``…_aug_<word>``; ``''`` without a word, None without ``aug``."""
    for name in names:
        if match := AUGMENTED.search(name):
            return match.group(1) if match.group(1) in WORDS else ''
    return None
