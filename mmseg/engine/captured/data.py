"""The data loader of a training on a GPU: 8-bit batches in pinned memory, distorted and normalised on the device.

Workers resize the window that is cropped alone.
"""

import copy
import os
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import Runner

from mmseg.datasets.transforms import PackSegInputs
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.processes import CORES
from mmseg.structures.stacked_batch import StackedCollate
from mmseg.utils.walk import dataset_configs

from .settings import StepSettings

#: Workers of one training at most; more do not make it faster.
MAX_WORKERS = 12
_DISTORTION = 'PhotoMetricDistortion'
_PACK = 'PackSegInputs'
_RESIZE, _CROP = 'RandomResize', 'RandomCrop'
#: Arguments of a RandomResize that a window can be computed alone with.
_PLAIN = {'type', 'scale', 'ratio_range', 'keep_ratio', 'interpolation'}


def prepare_data(runner: Runner) -> None:
    """Change the training's data loader, before it is built: see :func:`prepare_loader`."""
    settings = StepSettings.from_config(runner.cfg)
    model = runner.model.module if hasattr(runner.model, 'module') else runner.model
    preprocessor = getattr(model, 'data_preprocessor', None)
    if not settings.data or not isinstance(runner._train_dataloader, dict):
        return
    if not isinstance(preprocessor, SegDataPreProcessor) or (
        type(preprocessor).forward is not SegDataPreProcessor.forward
    ):
        return
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', get_world_size()))
    runner._train_dataloader = prepare_loader(
        runner._train_dataloader, preprocessor, usable_cores() // processes
    )


def usable_cores() -> int:
    """Processor cores that this process may use, and that ``MMSEG_CORES`` leaves to it beside others."""
    given = os.environ.get(CORES, '')
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def prepare_loader(config: dict, preprocessor: SegDataPreProcessor, cores: int) -> dict:
    """The config of a training's data loader, changed for a GPU.

    Batches become 8-bit tensors in pinned memory (a ``collate_fn`` or ``pin_memory`` of the config stays), the random
    distortion is drawn by the workers and computed by the preprocessor, windows are cropped before they are resized, and there are as many workers as cores, one of
    them left to the training, between the number in the config and :data:`MAX_WORKERS`. Without workers it stays so.

    Args:
        config: of the data loader; it is not changed.
        preprocessor: of the model.
        cores: of one process.
    """
    config = copy.deepcopy(dict(config))
    if config.get('collate_fn') in (None, dict(type='pseudo_collate')):
        size = preprocessor.size
        config['collate_fn'] = StackedCollate(
            None if size is None else tuple(size), int(preprocessor.seg_pad_val)
        )
    config.setdefault('pin_memory', True)
    if config.get('num_workers'):
        config['num_workers'] = max(config['num_workers'], min(cores - 1, MAX_WORKERS))
    defer_distortion(config['dataset'])
    crop_while_resizing(config['dataset'])
    return config


def defer_distortion(dataset: Any) -> int:
    """Let ``PhotoMetricDistortion`` be only drawn where ``PackSegInputs`` follows it; returns in how many pipelines.

    Pipelines of datasets that other transforms come after, as in ``MultiImageMixDataset``, stay as they are.

    Args:
        dataset: config of a dataset, changed in place.
    """
    changed = 0
    for pipeline in _pipelines(dataset):
        if [_name(step) for step in pipeline][-2:] == [_DISTORTION, _PACK]:
            pipeline[-2]['type'] = f'mmseg.Draw{_DISTORTION}'
            _add_meta_key(pipeline[-1])
            changed += 1
    return changed


def crop_while_resizing(dataset: Any) -> int:
    """Put ``RandomResizedWindow`` in the place of ``RandomResize`` and ``RandomCrop`` after it; returns in how many pipelines.

    Args:
        dataset: config of a dataset, changed in place.
    """
    changed = 0
    for pipeline in _pipelines(dataset):
        names = [_name(step) for step in pipeline]
        for index in range(len(names) - 1):
            if names[index : index + 2] == [_RESIZE, _CROP] and set(pipeline[index]) <= _PLAIN:
                resize, crop = pipeline[index : index + 2]
                pipeline[index : index + 2] = [
                    dict(type='mmseg.RandomResizedWindow', resize=_arguments(resize), crop=_arguments(crop))
                ]
                changed += 1
                break
    return changed


def _pipelines(dataset: Any) -> list[list]:
    """Of all datasets in a config, with tuples made lists in place."""
    if not isinstance(dataset, dict):
        return []
    configs = [one for one in dataset_configs(dataset) if isinstance(one.get('pipeline'), list | tuple)]
    for config in configs:
        config['pipeline'] = list(config['pipeline'])
    return [config['pipeline'] for config in configs]


def _arguments(step: dict) -> dict:
    return {name: value for name, value in step.items() if name != 'type'}


def _name(step: Any) -> str:
    return str(step.get('type')).removeprefix('mmseg.') if isinstance(step, dict) else ''


def _add_meta_key(pack: dict) -> None:
    keys = pack.get('meta_keys') or PackSegInputs().meta_keys
    pack['meta_keys'] = (*keys, 'distortion')
