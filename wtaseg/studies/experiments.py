"""The configs of a study's runs, written out whole, and what differs between them in words."""

import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from wtaseg.io import write
from wtaseg.runs import settings

from . import variants
from .definitions import Study, Variant

# names that a config's own parts are made of; what has been made of them stands in the parts
INTERMEDIATE = (
    'crop_size',
    'data_root',
    'dataset_type',
    'img_ratios',
    'norm_cfg',
    'optimizer',
    'train_pipeline',
)


@dataclass(frozen=True)
class Common:
    """What all rows of all studies of a project share."""

    data: Path
    iterations: int | None = None
    validations: int = 10
    workers: int | None = None


def build(config_root: Path, variant: Variant, common: Common) -> tuple[Config, list[str], list[str]]:
    """The config of a variant; what all variants change in the base, and what this one changes beyond.

    Raises:
        FileNotFoundError: there is no such base config.
    """
    file = config_root / f'{variant.config}.py'
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist; name an experiment below {config_root} with --model')
    cfg = settings.load_config(file)
    base = _described(cfg)
    variants.set_data(cfg, common.data)
    if common.iterations is not None:
        variants.set_iterations(cfg, common.iterations, common.validations)
    if common.workers is not None:
        variants.set_workers(cfg, common.workers)
    shared = _described(cfg)
    if variant.change is not None:
        variant.change(cfg)
    return cfg, settings.changes(base, shared), settings.changes(shared, _described(cfg))


def _described(cfg: Config) -> dict:
    # what a config defines besides, such as `train_pipeline`, has its effect through these
    parts = {
        key: value
        for key, value in cfg.to_dict().items()
        if key in ('model', 'param_scheduler', 'default_hooks', 'custom_hooks')
        or key.endswith(('_dataloader', '_cfg', '_wrapper'))
    }
    described = settings.describe(Config(parts))
    return {**described['train'], **described['test']}


def write_configs(
    studies: Sequence[Study], config_root: Path, folder: Path, common: Common
) -> dict[str, dict]:
    """Write ``<folder>/<dir>/<model>.py`` for every variant of these studies, once each.

    Returns:
        By variant name: the base config, and the two lists of :func:`build`.

    Raises:
        ValueError: two variants that differ have the same name.
    """
    found: dict[str, dict] = {}
    texts: dict[str, str] = {}
    for study in studies:
        for row in study.rows:
            name = row.variant.name
            cfg, shared, own = build(config_root, row.variant, common)
            text = as_source(cfg, f'{row.variant.config}: {row.label}')
            body = text.partition('\n')[2]
            if texts.setdefault(name, body) != body:
                raise ValueError(f'{study.name}: two different variants are called {name}')
            if name not in found:
                found[name] = {'base': row.variant.config, 'shared': shared, 'changes': own}
                write(folder / f'{name}.py', text)
    return found


def as_source(cfg: Config, title: str) -> str:
    """A config as Python source that stands alone, without ``_base_``."""
    parts = [f'# {title}. Written by tools/study.py; stands alone.']
    for key, value in cfg.to_dict().items():
        if key in INTERMEDIATE or key.endswith('_loss'):
            continue
        parts.append(f'{key} = {pprint.pformat(value, width=100, sort_dicts=False)}')
    return '\n'.join(parts) + '\n'
