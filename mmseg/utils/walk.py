"""Generators over what is nested: the dicts of a config, the datasets of a wrapper."""

from collections.abc import Iterator
from typing import Any


def config_dicts(node: Any) -> Iterator[dict]:
    """Every dict inside a config, outer before inner."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from config_dicts(item)


def dataset_configs(dataset: dict) -> Iterator[dict]:
    """The config of a dataset and those of the datasets that it wraps or concatenates, outer before inner.

    What a caller changes in a config before it asks for the next one is taken into account.
    """
    yield dataset
    inner = dataset.get('datasets', dataset.get('dataset'))
    for item in inner if isinstance(inner, (list, tuple)) else [inner]:
        if isinstance(item, dict):
            yield from dataset_configs(item)


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """The built datasets inside wrappers that concatenate, repeat, mix or sample, each once."""
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from leaf_datasets(part)
    elif hasattr(dataset, 'dataset'):
        yield from leaf_datasets(dataset.dataset)
    else:
        yield dataset
