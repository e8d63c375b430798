"""Class names and colours of datasets, by name."""

from mmseg.registry import DATASETS

dataset_aliases = {
    'wta': ['wta', 'wta_512', 'blades'],
    'cityscapes': ['cityscapes'],
    'voc': ['voc', 'pascal_voc', 'pascalvoc', 'voc12', 'voc12aug'],
}

_CITYSCAPES = {
    'road': (128, 64, 128),
    'sidewalk': (244, 35, 232),
    'building': (70, 70, 70),
    'wall': (102, 102, 156),
    'fence': (190, 153, 153),
    'pole': (153, 153, 153),
    'traffic light': (250, 170, 30),
    'traffic sign': (220, 220, 0),
    'vegetation': (107, 142, 35),
    'terrain': (152, 251, 152),
    'sky': (70, 130, 180),
    'person': (220, 20, 60),
    'rider': (255, 0, 0),
    'car': (0, 0, 142),
    'truck': (0, 0, 70),
    'bus': (0, 60, 100),
    'train': (0, 80, 100),
    'motorcycle': (0, 0, 230),
    'bicycle': (119, 11, 32),
}
_VOC = 'background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person'
_VOC = [*_VOC.split(), 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor']


def class_colour(index: int) -> list[int]:
    """The RGB colour of a class id in VOC's colour map, [0, 0, 0] for 0.

    The three lowest bits of the id become the highest bits of red, green and blue, the next three the next.
    """
    return [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)]


def _meta(dataset: str) -> dict:
    if not isinstance(dataset, str):
        raise TypeError(f'dataset={dataset!r}; expected the name of a dataset')
    alias = dataset.removesuffix('Dataset').lower()
    name = next((name for name, aliases in dataset_aliases.items() if alias in aliases), None)
    if name == 'cityscapes':
        return dict(classes=list(_CITYSCAPES), palette=[list(colour) for colour in _CITYSCAPES.values()])
    if name == 'voc':
        return dict(classes=_VOC, palette=[class_colour(index) for index in range(len(_VOC))])
    registered = DATASETS.get('WTADataset' if name == 'wta' else dataset)
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
        dataset: an alias (``wta``, ``cityscapes``, ``voc``, …) or the name of a registered dataset class.

    Raises:
        ValueError: an unknown name.
    """
    return list(_meta(dataset)['classes'])


def get_palette(dataset: str) -> list[list[int]]:
    """Colours (red, green, blue; 0 to 255) of a dataset's classes, in the order of their ids; as get_classes."""
    return [list(colour) for colour in _meta(dataset)['palette']]
