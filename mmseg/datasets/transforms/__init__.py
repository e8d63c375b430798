"""What a pipeline is made of: this package's transforms, and mmcv's under the same roof."""

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
