"""The configs of a study's experiments, each written out as one file, and what differs between them in words."""

import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from wtaseg.io import remove_abandoned_drafts, write
from wtaseg.runs import settings
from wtaseg.studies import overrides
from wtaseg.studies.results import ExperimentRecord
from wtaseg.studies.spec import Experiment, Study


@dataclass(frozen=True)
class CommonSettings:
    """What all experiments of a project share.

    Attributes:
        data: the original images and labels, as configs have the path.
        iterations: length of the training; None: as the configs say.
        validations: with ``iterations``, how often a training is validated.
        workers: processes of each data loader; None: as the configs say.
        counts: whether the tests write the counts of each image.
    """

    data: Path
    iterations: int | None = None
    validations: int = 10
    workers: int | None = None
    counts: bool = False


def build(
    config_root: Path, experiment: Experiment, common: CommonSettings
) -> tuple[Config, ExperimentRecord]:
    """The config of an experiment, and what it changes.

    Raises:
        FileNotFoundError: there is no such base config.
        ValueError: the config can't be changed as asked for.
    """
    file = config_root / f'{experiment.config}.py'
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist; name an experiment below {config_root} with --model')
    cfg = settings.load_config(file)
    base = _described(cfg)
    overrides.set_data(cfg, common.data)
    if common.iterations is not None:
        overrides.set_iterations(cfg, common.iterations, common.validations)
    if common.workers is not None:
        overrides.set_workers(cfg, common.workers)
    if common.counts:
        overrides.save_counts(cfg)
    shared = _described(cfg)
    if experiment.override is not None:
        experiment.override(cfg)
    record = ExperimentRecord(
        base=experiment.config,
        shared=tuple(settings.changes(base, shared)),
        changes=tuple(settings.changes(shared, _described(cfg))),
    )
    return cfg, record


def _described(cfg: Config) -> dict:
    """The settings of training and test, by dotted key."""
    described = settings.describe(cfg)
    return {**described['train'], **described['test']}


def write_configs(
    studies: Sequence[Study], config_root: Path, folder: Path, common: CommonSettings
) -> dict[str, ExperimentRecord]:
    """Write ``<folder>/<dir>/<model>.py`` for every experiment of these studies, once each.

    Returns:
        What each experiment changes, by its name.

    Raises:
        FileNotFoundError, ValueError: as :func:`build`, or two different experiments have the same name.
    """
    records: dict[str, ExperimentRecord] = {}
    sources: dict[str, str] = {}
    for study in studies:
        for row in study.rows:
            name = row.experiment.name
            cfg, record = build(config_root, row.experiment, common)
            source = as_source(cfg)
            if sources.setdefault(name, source) != source:
                raise ValueError(f'{study.name}: two different experiments are called {name}')
            if name not in records:
                records[name] = record
                title = f'# {row.experiment.config}: {row.label}. Written by wta-seg study; stands alone.\n'
                path = folder / f'{name}.py'
                remove_abandoned_drafts(path.parent)
                write(path, title + source)
    return records


def as_source(cfg: Config) -> str:
    """A config as Python source that stands alone, without ``_base_``."""
    parts = [
        f'{key} = {pprint.pformat(value, width=100, sort_dicts=False)}'
        for key, value in cfg.to_dict().items()
        if not settings.is_helper(key)
    ]
    return '\n'.join(parts) + '\n'
