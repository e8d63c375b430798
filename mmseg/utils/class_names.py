"""Class names and colours of datasets, by name."""

from mmseg.registry import DATASETS

from .public_datasets import public_datasets

#: Names for a dataset, by the first of them.
dataset_aliases = {
    'wta': ['wta', 'wta_512', 'blades'],
    **{entry.aliases[0]: list(entry.aliases) for entry in public_datasets().values() if entry.aliases},
}
_CLASSES_BY_ALIAS = {
    alias.lower(): entry.name for entry in public_datasets().values() for alias in entry.aliases
}
_CLASSES_BY_ALIAS |= dict.fromkeys(dataset_aliases['wta'], 'WTADataset')


def class_colour(index: int) -> list[int]:
    """The RGB colour of a class id in VOC's colour map, [0, 0, 0] for 0.

    The three lowest bits of the id become the highest bits of red, green and blue, the next three the next.
    """
    return [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)]


def _meta(dataset: str) -> dict:
    if not isinstance(dataset, str):
        raise TypeError(f'dataset={dataset!r}; expected the name of a dataset')
    registered = DATASETS.get(_CLASSES_BY_ALIAS.get(dataset.lower(), dataset))
    if registered is None:
        known = sorted(alias for aliases in dataset_aliases.values() for alias in aliases)
        raise ValueError(
            f'unknown dataset {dataset!r}; expected one of {", ".join(known)} or the name of a registered dataset '
            'class. Give classes and palette instead'
        )
    return registered.METAINFO


def get_classes(dataset: str) -> list[str]:
    """Names of a dataset's classes, in the order of their ids.

    Args:
        dataset: an alias (``wta``, ``cityscapes``, ``ade``, …) or the name of a registered dataset class.

    Raises:
        ValueError: an unknown name.
    """
    return list(_meta(dataset)['classes'])


def get_palette(dataset: str) -> list[list[int]]:
    """Colours (red, green, blue; 0 to 255) of a dataset's classes, in the order of their ids; as get_classes."""
    return [list(colour) for colour in _meta(dataset)['palette']]
