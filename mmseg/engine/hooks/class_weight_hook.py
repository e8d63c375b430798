"""Class weights from the pixel counts of the training labels."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmseg.datasets.label_counts import class_counts
from mmseg.models.losses import ClassWeightedLoss, enet_class_weight
from mmseg.models.losses.class_weight import ENET
from mmseg.registry import HOOKS
from mmseg.utils.files import write_atomically
from mmseg.utils.walk import leaf_datasets

CACHE_NAME = 'class_frequencies.json'


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Gives every loss with ``class_weight='enet'`` its weights before training begins.

    The labels of the training set are counted once, as the dataset reads them and before any
    augmentation. The counts are written to ``class_frequencies.json`` in the work folder and used again as
    long as names, sizes and times of the label files and the way they are read stay the same.

    Args:
        c: the bound in 1 / ln(c + f), above 1 (see ``enet_class_weight``).
    """

    priority = 'HIGH'

    def __init__(self, c: float = 1.02) -> None:
        enet_class_weight([1.0], c)  # raises for a wrong c before the first image is read
        self.c = c

    def before_train(self, runner: Runner) -> None:
        """Count the labels, or read the counts of an earlier run, and assign the weights in every process."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        unset = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, ClassWeightedLoss) and module.class_weight == ENET
        }
        if not unset:
            warnings.warn(
                "ClassWeightHook has no effect: no loss has class_weight='enet'. Set it in loss_decode, or "
                'take the hook out of custom_hooks',
                stacklevel=2,
            )
            return
        dataset = runner.train_dataloader.dataset
        classes = dataset.metainfo.get('classes')
        if not classes:
            raise ValueError(
                'ClassWeightHook: the training set has no class names; set metainfo=dict(classes=...)'
            )
        counts = torch.zeros(len(classes), dtype=torch.int64)
        if is_main_process():
            counts = torch.from_numpy(cached_class_counts(dataset, Path(runner.work_dir, CACHE_NAME)))
        broadcast(counts)
        weights = enet_class_weight(counts.tolist(), self.c)
        for module in unset.values():
            device = next(model.parameters()).device
            module.class_weight = weights
            module.to(device)
        listed = ', '.join(f'{c} {n} px -> {w:.3f}' for c, n, w in zip(classes, counts.tolist(), weights))
        runner.logger.info(f'class weights of {", ".join(unset)}: {listed}')


def cached_class_counts(dataset: Dataset, cache: Path) -> np.ndarray:
    """:func:`total_class_counts`, from the file ``cache`` if it was written for the same labels."""
    key = _key(dataset)
    if cache.is_file():
        try:
            stored = json.loads(cache.read_text(encoding='utf-8'))
            if stored['key'] == key:
                return np.asarray(stored['counts'], dtype=np.int64)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass  # another file of that name is replaced
    counts = total_class_counts(dataset)
    stored = dict(key=key, classes=list(dataset.metainfo['classes']), counts=counts.tolist())
    write_atomically(cache, json.dumps(stored, indent=1))
    return counts


def total_class_counts(dataset: Dataset) -> np.ndarray:
    """Pixels of each class in the labels of a dataset, int64 (C,); a dataset that is repeated counts once.

    Raises:
        ValueError: an item has no label file, a label is out of range, or no label is a class.
    """
    counts = sum(class_counts(part).sum(axis=0) for part in leaf_datasets(dataset))
    if not counts.sum():
        raise ValueError(
            f'no pixel of the training labels has an id in 0..{len(counts) - 1}; run '
            'tools/dataset_tools/check_dataset.py on the dataset'
        )
    return counts


def _key(dataset: Dataset) -> str:
    """A digest of everything that the counts depend on."""
    digest = hashlib.sha256(repr(list(dataset.metainfo['classes'])).encode())
    for part in leaf_datasets(dataset):
        digest.update(repr((repr(part.label_loader()), part.ignore_index)).encode())
        for item in (part.get_data_info(index) for index in range(len(part))):
            path = Path(item.get('seg_map_path') or item.get('img_path', ''))  # without labels: all normal
            stat = path.stat() if path.is_file() else None
            state = (stat.st_size, stat.st_mtime_ns) if stat else None
            read = (str(path), state, item.get('label_map'), item.get('reduce_zero_label'))
            digest.update(repr(read).encode())
    return digest.hexdigest()
