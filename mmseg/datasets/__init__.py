"""Datasets and the transforms of their pipelines."""

from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset

from .basesegdataset import BaseSegDataset
from .dataset_wrappers import MultiImageMixDataset, RareClassDataset
from .public import *
from .public import __all__ as _public
from .transforms import *
from .transforms import __all__ as _transforms
from .wta import WTADataset

__all__ = [
    'BaseSegDataset',
    'ClassBalancedDataset',
    'ConcatDataset',
    'MultiImageMixDataset',
    'RareClassDataset',
    'RepeatDataset',
    'WTADataset',
    *_public,
    *_transforms,
]
