"""Time every transform of a data pipeline, in one thread, alone or side by side with another package.

    python tools/analysis_tools/benchmark_pipeline.py configs/_base_/datasets/wta_512.py

    # the same config and images under another interpreter and package, in alternating rounds
    python tools/analysis_tools/benchmark_pipeline.py configs/_base_/datasets/wta_512.py \\
        --against "env PYTHONPATH=/some/path /other/bin/python" --against-import mmseg

The pipeline is built from the config by registry names, so nothing here depends on the package that is
measured. The random state is set per image: packages that draw alike do the same work.
"""

import argparse
import importlib
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope, Registry

TOTAL = 'total'
CLOCKS = {'wall': time.perf_counter, 'cpu': time.thread_time}
Timings = dict[str, list[float]]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path, help='config with the dataloader or a list <split>_pipeline')
    parser.add_argument('--split', default='train', help='train, val or test (default: train)')
    parser.add_argument('--data-root', type=Path, help="instead of the config's data_root")
    parser.add_argument('--images', type=int, default=50, help='images per round (default: 50)')
    parser.add_argument('--rounds', type=int, default=3, help='passes over these images (default: 3)')
    parser.add_argument(
        '--warmup',
        type=int,
        default=2,
        help='passes before timing starts (default: 2): loaders may keep decoded files. 0 times the first sight',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--import', dest='imports', nargs='+', default=['mmseg'], metavar='MODULE', help='default: mmseg'
    )
    parser.add_argument('--against', metavar='COMMAND', help='command of the interpreter to compare with')
    parser.add_argument('--against-import', nargs='+', default=['mmseg'], metavar='MODULE')
    parser.add_argument(
        '--clock',
        choices=CLOCKS,
        default='wall',
        help='cpu counts only the time this thread was running, for a machine with other load (default: wall)',
    )
    parser.add_argument('--json', type=Path, help='also write all timings there, in milliseconds')
    args = parser.parse_args(argv)
    if args.images < 1 or args.rounds < 1:
        parser.error('--images and --rounds must be at least 1')
    return args


def transform_registry(modules: list[str]) -> tuple[Registry, str]:
    """Import the modules in order; the last one's package has the registry and names the scope."""
    for module in modules:
        importlib.import_module(module)
    package = modules[-1].split('.')[0]
    try:
        return importlib.import_module(f'{package}.registry').TRANSFORMS, package
    except (ImportError, AttributeError):
        return TRANSFORMS, package


def find_dataset(cfg: Config, split: str) -> dict:
    """The innermost dataset config of the split's dataloader, through wrappers."""
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


def list_items(dataset: dict, data_root: Path, count: int) -> list[dict]:
    """What a dataset would hand to its pipeline, for the first ``count`` images."""
    img_dir = data_root / dataset['data_prefix']['img_path']
    ann_dir = data_root / dataset['data_prefix']['seg_map_path']
    suffix = dataset.get('img_suffix', '.png')
    seg_suffix = dataset.get('seg_map_suffix', '.png')
    images = sorted(img_dir.rglob(f'*{suffix}'))[:count]
    if not images:
        raise FileNotFoundError(f'no *{suffix} below {img_dir}. Give the dataset with --data-root.')
    items = []
    for image in images:
        name = image.relative_to(img_dir)
        label = ann_dir / name.parent / (name.name.removesuffix(suffix) + seg_suffix)
        items.append(dict(img_path=str(image), seg_map_path=str(label)))
    return items


def measure(args: argparse.Namespace) -> Timings:
    """Milliseconds of each transform and of the whole, one value per image."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    registry, scope = transform_registry(args.imports)
    cfg = Config.fromfile(args.config)
    dataset = find_dataset(cfg, args.split)
    items = list_items(dataset, args.data_root or Path(dataset.get('data_root') or '.'), args.images)
    names = [f'{i}. {step["type"]}' for i, step in enumerate(dataset['pipeline'], 1)]
    with DefaultScope.overwrite_default_scope(scope):
        steps = [registry.build(step) for step in dataset['pipeline']]

    timings: Timings = {name: [] for name in (*names, TOTAL)}
    for item in [items[0], *items * args.warmup]:  # even the first sight is timed without lazy imports
        run_item(item, steps, args.seed)
    for round_ in range(args.rounds):
        for index, item in enumerate(items):
            spent = run_item(item, steps, args.seed + round_ * len(items) + index, CLOCKS[args.clock])
            for name, ms in zip((*names, TOTAL), (*spent, sum(spent)), strict=True):
                timings[name].append(ms)
    return timings


def run_item(
    item: dict, steps: list, seed: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds per transform for one image."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that transforms draw from
    results = dict(item, label_map=None, reduce_zero_label=False, seg_fields=[])
    spent = []
    for step in steps:
        start = clock()
        results = step(results)
        spent.append((clock() - start) * 1e3)
        if results is None:
            raise ValueError(f'{type(step).__name__} refused {item["img_path"]}; leave this image out.')
    return spent


def measure_both(args: argparse.Namespace) -> tuple[Timings, Timings]:
    """Alternate rounds of both interpreters, so that a change in the machine's load meets both."""
    sides: tuple[Timings, Timings] = ({}, {})
    own_path = shlex.join(['env', f'PYTHONPATH={os.pathsep.join(filter(None, sys.path))}', sys.executable])
    commands = (args.against, args.against_import), (own_path, args.imports)  # a wrong command fails at once
    for round_ in range(args.rounds):
        for timings, (command, imports) in zip(sides, commands, strict=True):
            for name, values in _measure_elsewhere(args, shlex.split(command), imports, round_).items():
                timings.setdefault(name, []).extend(values)
    there, here = sides
    return here, there


def _measure_elsewhere(
    args: argparse.Namespace, command: list[str], imports: list[str], round_: int
) -> Timings:
    own = [
        str(Path(__file__).resolve()),
        str(args.config),
        '--split',
        args.split,
        '--images',
        str(args.images),
    ]
    own += ['--rounds', '1', '--seed', str(args.seed + round_ * args.images), '--json', '/dev/stdout']
    own += ['--clock', args.clock, '--warmup', str(args.warmup)]
    own += ['--data-root', str(args.data_root)] if args.data_root else []
    done = subprocess.run([*command, *own, '--import', *imports], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f'{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr[-2000:]}'
        )
    return json.loads(done.stdout.splitlines()[-1])


def table(timings: Timings) -> str:
    """Mean, median and share per transform."""
    total = fmean(timings[TOTAL])
    lines = [f'{"transform":<28}{"mean ms":>9}{"median":>9}{"share":>8}']
    for name, values in timings.items():
        lines.append(f'{name:<28}{fmean(values):>9.2f}{median(values):>9.2f}{fmean(values) / total:>8.1%}')
    return '\n'.join(lines)


def table_of_both(here: Timings, there: Timings) -> str:
    """Means of both sides, and how many times as long the other one takes."""
    lines = [f'{"transform":<28}{"here ms":>9}{"other ms":>10}{"other/here":>12}']
    for name, values in here.items():
        ours, theirs = fmean(values), fmean(there[name])
        lines.append(f'{name:<28}{ours:>9.2f}{theirs:>10.2f}{theirs / ours:>12.2f}')
    ours, theirs = median(here[TOTAL]), median(there[TOTAL])
    lines.append(f'{"total, median":<28}{ours:>9.2f}{theirs:>10.2f}{theirs / ours:>12.2f}')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    if args.against:
        here, there = measure_both(args)
        print(table_of_both(here, there))
        report = dict(here=here, other=there)
    else:
        report = measure(args)
        if args.json != Path('/dev/stdout'):
            print(table(report))
    if args.json:
        args.json.write_text(json.dumps(report) + '\n')


if __name__ == '__main__':
    main()
