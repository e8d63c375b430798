"""Carry the operating point from validations into checkpoints, and from checkpoints into tests."""

import json
from pathlib import Path

import mmengine
import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmseg.evaluation import InspectionMetric
from mmseg.evaluation.inspection.operating_point import KEY, OperatingPoint, read_operating_point
from mmseg.evaluation.inspection.pooling import COUNTS_FILE
from mmseg.registry import HOOKS
from mmseg.utils.checkpoint_reading import read_checkpoint_file
from mmseg.utils.files import atomic_path, write_atomically

#: File of a test's curves, beside its metrics.
CURVES_FILE = 'inspection.json'
#: JSON lines of a training, beside its log: step and operating point, with its curves, of each validation.
VALIDATIONS_FILE = 'operating_points.jsonl'


@HOOKS.register_module()
class OperatingPointHook(Hook):
    """Stores and applies what ``InspectionMetric`` chooses; without such a metric it does nothing.

    After a validation the operating point is written into the checkpoint of the same iteration, which was saved
    before, and into the one of ``save_best``; and added to ``operating_points.jsonl`` beside the log. A test applies the operating point of the loaded checkpoint, and writes
    its curves to ``inspection.json`` beside its metrics.
    """

    # before CheckpointHook, which saves the best checkpoint
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._loaded: OperatingPoint | None = None
        self._chosen: OperatingPoint | None = None
        self._iter = -1

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the operating point of the checkpoint.

        Raises:
            ValueError: it has another form.
        """
        self._loaded = read_operating_point(checkpoint)

    def before_test(self, runner: Runner) -> None:
        """Apply the operating point of the loaded checkpoint.

        Raises:
            ValueError: it has other classes than the dataset, or no curves for the false alarms that the metric allows.
        """
        for metric in _metrics(runner.test_loop.evaluator):
            if metric.choose_operating_point:
                continue
            metric.apply(self._loaded)
            if self._loaded is None:
                runner.logger.info(
                    'The checkpoint has no operating point: defects found are given for the most probable class. '
                    'A validation in training chooses one; see docs/inspection.md'
                )

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the curves."""
        for metric in _metrics(runner.test_loop.evaluator) if is_main_process() else []:
            if metric.inspection is not None:
                content = mmengine.dump(metric.inspection.content, file_format='json')
                write_atomically(Path(runner.log_dir, CURVES_FILE), content)
                if metric.counts is not None:
                    metric.counts.save(Path(runner.log_dir, COUNTS_FILE))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the operating point into the checkpoint of this iteration, if there is one."""
        points = [
            metric.inspection.point
            for metric in _metrics(runner.val_loop.evaluator)
            if metric.choose_operating_point and metric.inspection is not None
        ]
        received = [points[0] if points else None]
        broadcast_object_list(received)
        self._chosen, self._iter = received[0], runner.iter
        if self._chosen is None or not is_main_process():
            return
        _append(Path(runner.log_dir, 'vis_data', VALIDATIONS_FILE), runner.iter, self._chosen)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                # of a resumed run the hub knows it alone
                path = Path(hook.last_ckpt or runner.message_hub.runtime_info.get('last_ckpt') or '')
                step = runner.epoch if hook.by_epoch else runner.iter
                if path.name == hook.filename_tmpl.format(step) and path.is_file():
                    _store(path, self._chosen)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the operating point to a checkpoint of the iteration that it was chosen for."""
        if self._chosen is not None and checkpoint['meta'].get('iter') == self._iter:
            checkpoint['meta'][KEY] = self._chosen.to_dict()


def _metrics(evaluator: Evaluator) -> list[InspectionMetric]:
    return [metric for metric in evaluator.metrics if isinstance(metric, InspectionMetric)]


def _append(path: Path, step: int, point: OperatingPoint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a', encoding='utf-8') as file:
        file.write(json.dumps({'step': step, KEY: point.to_dict()}) + '\n')


def _store(path: Path, point: OperatingPoint) -> None:
    """Write an operating point into a checkpoint on the local disk; atomically."""
    checkpoint = read_checkpoint_file(path, 'cpu')
    checkpoint['meta'][KEY] = point.to_dict()
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)
