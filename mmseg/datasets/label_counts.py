"""Count the pixels of each class: in a label map, in a dataset."""

from collections.abc import Sequence

import numpy as np


def count_ids(labels: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """Pixels per value: those of 0..255 as int64 (256,), all others as ``{value: pixels}``."""
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if labels.dtype == np.uint8:
        return np.bincount(labels.ravel(), minlength=256), {}
    inside = (labels >= 0) & (labels < 256)
    values, counts = np.unique(labels[~inside], return_counts=True)
    counted = np.bincount(labels[inside].astype(np.int64), minlength=256)
    return counted, {int(v): int(n) for v, n in zip(values, counts)}


def count_classes(
    labels: np.ndarray, num_classes: int, ignore_index: int = 255, source: str = 'the label map'
) -> np.ndarray:
    """Pixels of each class in a label map, int64 (num_classes,), without ignored pixels.

    Raises:
        ValueError: it holds other ids; names them and ``source``.
    """
    counts, others = count_ids(labels)
    if 0 <= ignore_index < 256:
        counts[ignore_index] = 0
    others.pop(ignore_index, None)
    wrong = [*(np.flatnonzero(counts[num_classes:]) + num_classes).tolist(), *others]
    if wrong:
        raise ValueError(
            f'{source} holds the labels {wrong}, expected ids below {num_classes} or ignore_index={ignore_index}. '
            'Convert it with tools/dataset_tools/convert_labels.py.'
        )
    return counts[:num_classes]


def class_counts(dataset) -> np.ndarray:
    """Labelled pixels of each class in each image, (N, number of classes) int64; reads every label map.

    Args:
        dataset: a ``BaseSegDataset`` or a ``ConcatDataset`` of them; rows are in the order of its items.

    Raises:
        TypeError: another dataset.
        ValueError: see ``BaseSegDataset.class_counts``.
    """
    parts: Sequence | None = getattr(dataset, 'datasets', None)
    if parts is not None:
        return np.concatenate([class_counts(part) for part in parts])
    if not hasattr(dataset, 'class_counts'):
        raise TypeError(
            f'classes are counted in a BaseSegDataset or a ConcatDataset of them, got {type(dataset)}.'
        )
    return dataset.class_counts()
