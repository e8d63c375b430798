"""Check the training files before the first iteration."""

import time

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmseg.datasets.check import check_files
from mmseg.registry import HOOKS
from mmseg.utils.walk import leaf_datasets

from .head_classes import check_heads


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Raises an error before training for files that would fail later, or be learned wrongly.

    Checked are sizes, colour modes and completeness of all training files, and the ids of up to ``limit``
    label maps. The first process checks; all of them stop when something is wrong. Datasets that are not on
    the local disk, or are no ``BaseSegDataset``, are skipped.

    Args:
        limit: Label maps whose ids are checked (about 2 ms each for 512 x 512), None: all.
    """

    priority = 'HIGH'

    def __init__(self, limit: int | None = 200) -> None:
        if limit is not None and limit < 1:
            raise ValueError(
                f'DatasetCheckHook: limit={limit}, expected at least 1, or None for all label maps'
            )
        self.limit = limit

    def before_train(self, runner: Runner) -> None:
        """Check the files.

        Raises:
            ValueError: A file can't be trained on, or a head has another number of classes than the dataset.
        """
        outcome: list = [None]
        if is_main_process():
            start = time.perf_counter()
            try:
                checked = sum(
                    self._check(part, runner) for part in leaf_datasets(runner.train_dataloader.dataset)
                )
                seconds = time.perf_counter() - start
                runner.logger.info(f'checked {checked} training images and their labels in {seconds:.1f} s')
            except ValueError as error:
                outcome = [str(error)]
        # Broadcast: if one process stopped alone, the others would wait for it forever.
        broadcast_object_list(outcome)
        if outcome[0] is not None:
            raise ValueError(outcome[0])

    def _check(self, dataset: Dataset, runner: Runner) -> int:
        """Check one dataset; returns the number of images."""
        if not hasattr(dataset, 'get_data_info') or getattr(dataset, 'backend_args', None):
            return 0
        items = [dataset.get_data_info(index) for index in range(len(dataset))]
        unlabelled = [item['img_path'] for item in items if 'img_path' in item and 'seg_map_path' not in item]
        if unlabelled:
            raise ValueError(
                f'{unlabelled[0]} has no label map; set data_prefix=dict(seg_map_path=...) in the dataset config'
            )
        pairs = [(item['img_path'], item['seg_map_path']) for item in items if 'img_path' in item]
        num_classes = _ids_in_files(dataset, runner)
        if num_classes is None or not pairs:
            return 0
        ignore, shift = getattr(dataset, 'ignore_index', 255), getattr(dataset, 'reduce_zero_label', False)
        check_files(pairs, num_classes, ignore, bool(shift), self.limit)
        return len(pairs)


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
