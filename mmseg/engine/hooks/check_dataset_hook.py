"""Check the files of every split before the first iteration that needs them."""

import time
from collections.abc import Callable

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader, Dataset

from mmseg.datasets.basesegdataset import DROPPED_LABEL
from mmseg.datasets.check import check_files, check_readable
from mmseg.datasets.normal_images import ALTERNATIVES, NORMAL
from mmseg.registry import HOOKS
from mmseg.utils.walk import leaf_datasets

from .head_classes import check_heads


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Raises an error before training or testing for files that would fail later, or be learned or measured wrongly.

    Before a training, the training and validation sets are checked, before a test the test set: sizes, colour modes
    and completeness of all files, and the ids of the label maps. Counts of ids are cached, see
    :mod:`mmseg.datasets.label_scan`, so that only new and changed label maps are read. The first process checks; all
    of them stop when something is wrong. Datasets that are not on the local disk, or are no ``BaseSegDataset``, are
    skipped. So are the labels of a test set without any, where the evaluator only writes predictions.

    Args:
        limit: Label maps whose ids are checked in each dataset, None: all.
    """

    priority = 'HIGH'

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(
                f'DatasetCheckHook: limit={limit}, expected at least 1, or None for all label maps'
            )
        self.limit = limit
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Check the files of training and validation.

        Raises:
            ValueError: A file can't be used, or a head has another number of classes than the dataset.
        """
        loaders = {'training': runner.train_dataloader}
        if loop := getattr(runner, 'val_loop', None):
            loaders['validation'] = loop.dataloader
        self._check_splits(runner, loaders)
        self._training = True

    def before_val(self, runner: Runner) -> None:
        """Check the files of the validation, outside a training; raises as :meth:`before_train`."""
        if not self._training:
            self._check_splits(runner, {'validation': runner.val_loop.dataloader}, runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Check the files of the test; raises as :meth:`before_train`."""
        self._check_splits(runner, {'test': runner.test_loop.dataloader}, runner.test_loop)

    def _check_splits(self, runner: Runner, loaders: dict[str, DataLoader], loop: object = None) -> None:
        outcome: list = [None]
        if is_main_process():
            columns = (
                TextColumn('{task.description}'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            try:
                with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
                    for split, loader in loaders.items():
                        self._check_split(runner, split, loader.dataset, _needs_labels(loop), progress)
            except ValueError as error:
                outcome = [str(error)]
        # Broadcast: if one process stopped alone, the others would wait for it forever.
        broadcast_object_list(outcome)
        if outcome[0] is not None:
            raise ValueError(outcome[0])

    def _check_split(
        self, runner: Runner, split: str, dataset: Dataset, needs_labels: bool, progress: Progress
    ) -> None:
        start = time.perf_counter()
        task = progress.add_task(f'checking {split} labels', total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        try:
            checked = sum(self._check(part, runner, needs_labels, report) for part in leaf_datasets(dataset))
        except ValueError as error:
            raise ValueError(f'{split} set: {error}') from error
        seconds = time.perf_counter() - start
        runner.logger.info(f'checked {checked} {split} images and their labels in {seconds:.1f} s')

    def _check(
        self, dataset: Dataset, runner: Runner, needs_labels: bool, progress: Callable[[int, int], None]
    ) -> int:
        """Check one dataset; returns the number of images."""
        if not hasattr(dataset, 'get_data_info') or getattr(dataset, 'backend_args', None):
            return 0
        items = [dataset.get_data_info(index) for index in range(len(dataset))]
        check_readable(path for item in items if item.get(NORMAL) for path in item[ALTERNATIVES])
        unlabelled = [
            item['img_path']
            for item in items
            if 'img_path' in item and 'seg_map_path' not in item and not item.get(NORMAL)
        ]
        if unlabelled and needs_labels:
            raise ValueError(
                f'{unlabelled[0]} has no label map; set data_prefix=dict(seg_map_path=...) in the dataset config'
            )
        pairs = [
            (item['img_path'], item['seg_map_path'])
            for item in items
            if {'img_path', 'seg_map_path'} <= {*item}
        ]
        num_classes = _ids_in_files(dataset, runner)
        if num_classes is None or not pairs:
            return 0
        ignore, shift = (
            getattr(dataset, 'ignore_index', 255),
            bool(getattr(dataset, 'reduce_zero_label', False)),
        )
        dropped = [
            old + shift
            for old, new in (getattr(dataset, 'label_map', None) or {}).items()
            if new == DROPPED_LABEL
        ]
        check_files(pairs, num_classes, ignore, shift, self.limit, dropped, progress)
        return len(pairs)


def _needs_labels(loop: object) -> bool:
    """Whether a loop compares predictions with labels, instead of only writing them."""
    metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', None) or []
    return not (metrics and all(getattr(metric, 'format_only', False) for metric in metrics))


def _ids_in_files(dataset: Dataset, runner: Runner) -> int | None:
    """How many class ids the label files may hold; None if neither dataset nor model defines it."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    model_classes = getattr(model, 'num_classes', None)
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if classes:
        check_heads(model, classes)
    # The files hold the ids from before label_map re-numbers them.
    label_map = getattr(dataset, 'label_map', None)
    if label_map:
        return max(label_map) + 1
    return len(classes) if classes else model_classes
