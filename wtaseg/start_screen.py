"""What a run shows on the console before its first iteration; everything else of the setup is in its log file."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmseg.datasets.label_counts import count_classes
from mmseg.engine.captured import describe_step
from mmseg.engine.hooks import EMAHook
from mmseg.engine.hooks.accumulation_hook import counts_of
from mmseg.utils.walk import leaf_datasets
from wtaseg.runs.describe import describe_run

#: Label maps that the shares of the classes are estimated from, at most; reading one takes about 2 ms.
MAX_LABELS = 500


class StartScreen(Hook):
    """Prints the screen before training or test, and shows the log on the console from then on."""

    priority = 'LOWEST'
    first_iteration_done = False

    def before_train(self, runner: Runner) -> None:
        """Show what the training is about to do."""
        self._show(runner, training_lines)

    def after_train_iter(self, *args, **kwargs) -> None:
        """Note that the training works."""
        self.first_iteration_done = True

    def before_test(self, runner: Runner) -> None:
        """Show what is tested."""
        self._show(runner, test_lines)

    def _show(self, runner: Runner, lines) -> None:
        if is_main_process():
            text = as_text(lines(runner))
            runner.logger.info('\n' + text)  # into the file
            print(text, flush=True)
            show_log(runner.logger)


def show_log(logger: logging.Logger) -> None:
    """Show the log on the console at the level of its file."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.INFO)


def as_text(lines: Sequence[tuple[str, str]]) -> str:
    """Pairs of heading and text as aligned lines; the heading of a continued line is empty."""
    width = max(len(heading) for heading, _ in lines)
    return '\n'.join(f'{heading:<{width}}  {text}'.rstrip() for heading, text in lines)


def training_lines(runner: Runner) -> list[tuple[str, str]]:
    """Headings and texts of a training."""
    cfg = runner.cfg
    lines = [('Experiment', str(cfg.filename or runner.experiment_name)), ('Model', _model(runner))]
    lines += _data(runner)
    lines += [('Classes', line) if index == 0 else ('', line) for index, line in enumerate(_classes(runner))]
    lines += [('Device', _device('training')), ('Schedule', _schedule(runner))]
    if runner.iter > 0:
        lines.append(('Resumes', f'after iteration {runner.iter:,}'))
    elif weights := runner._load_from or cfg.get('init_from'):
        lines.append(('Weights', str(weights)))
    if getattr(runner, 'frozen', None) is not None:
        lines.append(('Frozen', str(runner.frozen)))
    if cfg.get('smoke'):
        lines.append(('Smoke', 'a trial of a few iterations on small images: the results mean nothing'))
    return [*lines, ('Results', str(runner.work_dir)), ('Log', f'{_log_file(runner)} has the whole setup')]


def test_lines(runner: Runner) -> list[tuple[str, str]]:
    """Headings and texts of a test."""
    dataset = runner.test_dataloader.dataset
    return [
        ('Model', _model(runner)),
        ('Weights', str(runner._load_from)),
        ('Data', f'{_root(dataset)}: {len(dataset):,} images'),
        ('Device', _device('testing')),
        ('Results', str(runner.work_dir)),
        ('Log', f'{_log_file(runner)} has the whole setup'),
    ]


def _model(runner: Runner) -> str:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    parameters = sum(parameter.numel() for parameter in model.parameters())
    spec = describe_run(runner.cfg.to_dict(), '')
    name = spec.model or type(model).__name__
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    text = f'{name}, {parameters / 1e6:.2f} million parameters'
    if trained < parameters:
        text += f', {trained:,} of them trained'
    return text + (f', {spec.loss}' if spec.loss else '')


def _data(runner: Runner) -> list[tuple[str, str]]:
    train = runner.train_dataloader.dataset
    lines = [('Data', f'{_root(train)}: {len(train):,} images to train on')]
    if runner.val_loop is not None:
        validation = runner.val_dataloader.dataset
        lines[0] = ('Data', f'{lines[0][1]}, {len(validation):,} to validate')
        if _root(validation) != _root(train):
            lines.append(('', f'validation in {_root(validation)}'))
    return lines


def _root(dataset: Any) -> str:
    parts = list(leaf_datasets(dataset))
    return ' + '.join(
        dict.fromkeys(str(getattr(part, 'data_root', '') or type(part).__name__) for part in parts)
    )


def _classes(runner: Runner) -> list[str]:
    """One line for each class with its share of the labelled pixels of the training set."""
    dataset = runner.train_dataloader.dataset
    names = list((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    counts, read, total = label_shares(dataset, len(names))
    if not counts.sum():
        return [', '.join(names)]
    width = max(map(len, names))
    lines = [f'{name:<{width}} {count / counts.sum():>10.4%}' for name, count in zip(names, counts)]
    lines[0] += ' of the labelled pixels' + (f' (in {read} of {total} labels)' if read < total else '')
    return lines


def label_shares(dataset: Any, num_classes: int, limit: int = MAX_LABELS) -> tuple[np.ndarray, int, int]:
    """Labelled pixels of each class in labels spread over a dataset.

    Returns:
        The counts int64 ``(C,)``, how many labels were read, and how many there are. Datasets that read no label
        files count for nothing.
    """
    parts = [part for part in leaf_datasets(dataset) if hasattr(part, 'label_loader') and num_classes]
    items = [(part, index) for part in parts for index in range(len(part))]
    chosen = items[:: -(-len(items) // limit) or 1]
    counts = np.zeros(num_classes, np.int64)
    for part, index in chosen:
        info = part.get_data_info(index)
        labels = part.label_loader()(info)['gt_seg_map']
        counts += count_classes(
            labels, num_classes, part.ignore_index, info.get('seg_map_path', info['img_path'])
        )
    return counts, len(chosen), len(items)


def _device(work: str) -> str:
    if not torch.cuda.is_available():
        count = get_world_size()
        return f'No CUDA device: {work} on the CPU' + (f' in {count} processes' if count > 1 else '')
    name = torch.cuda.get_device_name()
    return f'{get_world_size()} x {name}' if get_world_size() > 1 else name


def _schedule(runner: Runner) -> str:
    loop, cfg = runner.train_loop, runner.cfg
    batch = (runner.train_dataloader.batch_size or 0) * get_world_size()
    epochs = runner.max_iters * batch / max(1, len(runner.train_dataloader.dataset))
    rate = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('lr')
    parts = [f'{runner.max_iters:,} iterations of {batch} images ({epochs:.1f} epochs)']
    if rate is not None:
        parts.append(f'learning rate {rate:g}')
    if runner.val_loop is not None:
        parts.append(f'validation every {loop.val_interval:,}')
    if 'Amp' in type(runner.optim_wrapper).__name__:
        parts.append('mixed precision')
    elif step := describe_step(runner):
        parts.append(step)
    if (counts := counts_of(runner.optim_wrapper)) > 1:
        parts.append(f'weights updated every {counts} iterations ({counts * batch} images)')
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        parts.append('averaged weights')
    return ', '.join(parts)


def _log_file(runner: Runner) -> Path:
    return Path(runner.log_dir, f'{runner.timestamp}.log')
