"""Time every transform of a data pipeline in one thread, alone or compared with another package.

The pipeline is built from the config by registry names, so nothing here depends on the package that is measured: this
file also runs alone under another interpreter, where another mmseg and no wtaseg is installed. It then reads
:class:`PipelineOptions` and the images as JSON from stdin and prints the times as JSON. The random state is set per
image: packages that draw random numbers alike do the same work.
"""

import importlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope, Registry

TOTAL = 'total'
CLOCKS = {'wall': time.perf_counter, 'cpu': time.thread_time}
#: Milliseconds of each transform, and of all under :data:`TOTAL`, one value per image.
Timings = dict[str, list[float]]


@dataclass(frozen=True)
class PipelineOptions:
    """What to measure.

    Attributes:
        config: path of a config with the dataloader.
        split: train, val or test.
        data_root: replaces the config's ``data_root``.
        images: images per round.
        rounds: passes over these images.
        warmup: passes before timing starts, since loaders may keep decoded files; 0 includes the first reading.
        seed: of the first image.
        imports: modules that register the transforms; the last one's package has the registry.
        clock: ``'wall'``, or ``'cpu'`` for the time this thread was running.
    """

    config: str
    split: str = 'train'
    data_root: str | None = None
    images: int = 50
    rounds: int = 3
    warmup: int = 2
    seed: int = 0
    imports: tuple[str, ...] = ('mmseg',)
    clock: str = 'wall'


def transform_registry(modules: tuple[str, ...]) -> tuple[Registry, str]:
    """Import the modules in order; the last one's package has the registry, its name is the scope."""
    for module in modules:
        importlib.import_module(module)
    package = modules[-1].split('.')[0]
    try:
        return importlib.import_module(f'{package}.registry').TRANSFORMS, package
    except (ImportError, AttributeError):
        return TRANSFORMS, package


def find_dataset(cfg: Config, split: str) -> dict:
    """The innermost dataset of a split's dataloader, the first one where datasets are joined.

    Raises:
        ValueError: the config has no such dataloader, or no dataset in it.
    """
    key = f'{split}_dataloader'
    if key not in cfg:
        raise ValueError(f'{cfg.filename} has no {key}; it has {sorted(cfg.keys())}. Choose another --split.')
    dataset = cfg[key]['dataset']
    while 'pipeline' not in dataset or 'data_prefix' not in dataset:
        inner = dataset.get('dataset') or (dataset.get('datasets') or [None])[0]
        if inner is None:
            raise ValueError(f'{key} in {cfg.filename} holds no dataset with pipeline and data_prefix.')
        dataset = inner
    return dataset


def list_items(options: PipelineOptions) -> list[dict[str, str]]:
    """The inputs of the pipeline for the first images of the dataset.

    Raises:
        FileNotFoundError: there is no image.
        ValueError: the config has no such dataset.
    """
    from mmseg.datasets.image_files import match_images  # of this project: not where the file runs alone

    dataset = find_dataset(Config.fromfile(options.config), options.split)
    data_root = Path(options.data_root or dataset.get('data_root') or '.')
    img_dir = data_root / dataset['data_prefix']['img_path']
    ann_dir = data_root / dataset['data_prefix']['seg_map_path']
    seg_suffix = dataset.get('seg_map_suffix', '.png')
    names = (path.relative_to(img_dir).as_posix() for path in img_dir.rglob('*'))
    images = match_images(names, dataset.get('img_suffix'))
    if not images:
        raise FileNotFoundError(f'no image below {img_dir}. Give the dataset with --data-root.')
    return [
        dict(img_path=str(img_dir / name), seg_map_path=str(ann_dir / f'{stem}{seg_suffix}'))
        for stem, name in list(images.items())[: options.images]
    ]


def measure(options: PipelineOptions, items: list[dict[str, str]] | None = None) -> Timings:
    """Milliseconds of each transform and of the whole pipeline, one value per image.

    Args:
        options: what to measure.
        items: see :func:`list_items`, which makes them where they are not given.

    Raises:
        FileNotFoundError, ValueError: the config or the dataset can not be used.
    """
    items = list_items(options) if items is None else items
    with suppress(ImportError):  # another package of mmsegmentation's interface has it not
        from mmseg.processes import keep_freed_memory

        keep_freed_memory()  # as the workers of a training do
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    registry, scope = transform_registry(options.imports)
    dataset = find_dataset(Config.fromfile(options.config), options.split)
    names = [f'{i}. {step["type"]}' for i, step in enumerate(dataset['pipeline'], 1)]
    with DefaultScope.overwrite_default_scope(scope):
        steps = [registry.build(step) for step in dataset['pipeline']]

    timings: Timings = {name: [] for name in (*names, TOTAL)}
    for item in [items[0], *items * options.warmup]:  # the first run makes lazy imports
        run_item(item, steps, options.seed)
    for round_ in range(options.rounds):
        for index, item in enumerate(items):
            seed = options.seed + round_ * len(items) + index
            milliseconds = run_item(item, steps, seed, CLOCKS[options.clock])
            for name, value in zip((*names, TOTAL), (*milliseconds, sum(milliseconds)), strict=True):
                timings[name].append(value)
    return timings


def run_item(
    item: dict, steps: list, seed: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of each transform for one image.

    Raises:
        ValueError: a transform returned nothing for it.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - transforms draw from the global state
    results = dict(item, label_map=None, reduce_zero_label=False, seg_fields=[])
    milliseconds = []
    for step in steps:
        start = clock()
        results = step(results)
        milliseconds.append((clock() - start) * 1e3)
        if results is None:
            raise ValueError(f'{type(step).__name__} refused {item["img_path"]}; leave this image out.')
    return milliseconds


def compare(options: PipelineOptions, command: str, imports: tuple[str, ...]) -> tuple[Timings, Timings]:
    """Times here and under another interpreter, in alternating rounds, so that the machine's load affects both.

    Args:
        options: what to measure.
        command: of the other interpreter, ``'env PYTHONPATH=/some/path /other/bin/python'``.
        imports: modules that register the transforms there.

    Raises:
        RuntimeError: a round failed; the message has the end of its stderr.
    """
    items = list_items(options)
    here: Timings = {}
    other: Timings = {}
    path = os.pathsep.join(filter(None, sys.path))
    this = shlex.join(['env', f'PYTHONPATH={path}', sys.executable])
    # the other one first: a wrong command fails at once
    sides = ((other, command, imports), (here, this, options.imports))
    for round_ in range(options.rounds):
        seed = options.seed + round_ * options.images
        for timings, interpreter, modules in sides:
            once = replace(options, rounds=1, seed=seed, imports=modules)
            for name, values in _measure_elsewhere(interpreter, once, items).items():
                timings.setdefault(name, []).extend(values)
    return here, other


def _measure_elsewhere(command: str, options: PipelineOptions, items: list[dict[str, str]]) -> Timings:
    arguments = [*shlex.split(command), str(Path(__file__).resolve())]
    task = json.dumps({'options': asdict(options), 'items': items})
    done = subprocess.run(arguments, input=task, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{command} failed with status {done.returncode}:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def table(timings: Timings) -> str:
    """Mean, median and share of each transform."""
    total = fmean(timings[TOTAL])
    lines = [f'{"transform":<28}{"mean ms":>9}{"median":>9}{"share":>8}']
    for name, values in timings.items():
        lines.append(f'{name:<28}{fmean(values):>9.2f}{median(values):>9.2f}{fmean(values) / total:>8.1%}')
    return '\n'.join(lines)


def comparison_table(here: Timings, other: Timings) -> str:
    """Means of both sides, and the ratio of the other to this one."""
    lines = [f'{"transform":<28}{"here ms":>9}{"other ms":>10}{"other/here":>12}']
    for name, values in here.items():
        lines.append(_comparison_row(name, fmean(values), fmean(other[name])))
    lines.append(_comparison_row('total, median', median(here[TOTAL]), median(other[TOTAL])))
    return '\n'.join(lines)


def _comparison_row(name: str, here: float, other: float) -> str:
    return f'{name:<28}{here:>9.2f}{other:>10.2f}{other / here:>12.2f}'


if __name__ == '__main__':
    _task = json.load(sys.stdin)
    print(json.dumps(measure(PipelineOptions(**_task['options']), _task['items'])))
