"""What a pipeline is made of: this package's transforms, and mmcv's under the same roof."""

from mmcv.transforms import (
    CenterCrop,
    Compose,
    LoadImageFromFile,
    Normalize,
    Pad,
    RandomApply,
    RandomChoice,
    RandomGrayscale,
    TestTimeAug,
)

from .formatting import PackSegInputs
from .loading import InferencerLoader, LoadAnnotations, LoadImageFromNDArray
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
