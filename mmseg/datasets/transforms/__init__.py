"""Transforms of pipelines: this package's, and those of mmcv that it re-exports."""

from mmcv.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    Pad,
    RandomApply,
    RandomChoice,
    RandomGrayscale,
    TestTimeAug,
)

from .formatting import PackSegInputs
from .loading import InferencerLoader, LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from .transforms import *
from .transforms import __all__ as _transforms

__all__ = [
    'CenterCrop',
    'Compose',
    'InferencerLoader',
    'LoadAnnotations',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'Normalize',
    'PackSegInputs',
    'Pad',
    'RandomApply',
    'RandomChoice',
    'RandomGrayscale',
    'TestTimeAug',
    *_transforms,
]
