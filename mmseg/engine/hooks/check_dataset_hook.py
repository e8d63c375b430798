"""A look at the training files before the first iteration."""

import time

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmseg.datasets.check import check_files
from mmseg.registry import HOOKS
from mmseg.utils.walk import leaf_datasets


@HOOKS.register_module()
class DatasetCheckHook(Hook):
    """Refuses to train on files that would fail, or be learned wrongly, later.

    Sizes, colour modes and completeness of all training files, and the ids of up to ``limit`` label maps.
    The first process looks; all of them stop when something is wrong. Data sets that do not lie on the
    local disk, and those that are no ``BaseSegDataset``, are left out.

    Args:
        limit: Label maps whose ids are looked at (about 2 ms each for 512 x 512), None: all.
    """

    priority = 'HIGH'

    def __init__(self, limit: int | None = 200) -> None:
        if limit is not None and limit < 1:
            raise ValueError(
                f'DatasetCheckHook: limit={limit}, expected at least 1, or None for all label maps'
            )
        self.limit = limit

    def before_train(self, runner: Runner) -> None:
        """Looks at the files.

        Raises:
            ValueError: A file is not fit for training, or labels have more classes than the model.
        """
        outcome: list = [None]
        if is_main_process():
            start = time.perf_counter()
            try:
                looked = sum(
                    self._check(part, runner) for part in leaf_datasets(runner.train_dataloader.dataset)
                )
                seconds = time.perf_counter() - start
                runner.logger.info(f'looked at {looked} training images and their labels in {seconds:.1f} s')
            except ValueError as error:
                outcome = [str(error)]
        # Told to all: a process that stopped alone would leave the others waiting for it.
        broadcast_object_list(outcome)
        if outcome[0] is not None:
            raise ValueError(outcome[0])

    def _check(self, dataset: Dataset, runner: Runner) -> int:
        """Number of images looked at."""
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
    """How many class ids the label files may hold; None if neither data set nor model tells."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    of_model = getattr(model, 'num_classes', None)
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if classes and of_model and len(classes) > of_model:
        raise ValueError(
            f'the training set has {len(classes)} classes {tuple(classes)}, the model num_classes={of_model}; '
            f'set num_classes={len(classes)} in decode_head and auxiliary_head'
        )
    # The files hold the ids from before label_map re-numbers them.
    label_map = getattr(dataset, 'label_map', None)
    if label_map:
        return max(label_map) + 1
    return len(classes) if classes else of_model
