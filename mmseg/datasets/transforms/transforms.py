"""All transforms, under upstream's module path."""

from .albu import Albu
from .copy_paste import CopyPasteDefects
from .crop import RandomCrop, RareClassCrop
from .edges import GenerateEdge
from .geometry import (
    RandomChoiceResize,
    RandomFlip,
    RandomResize,
    RandomRotate,
    RandomRotFlip,
    Resize,
    ResizeShortestEdge,
    ResizeToMultiple,
    SegRescale,
)
from .mix import RandomCutOut, RandomMosaic
from .photometric import CLAHE, AdjustGamma, PhotoMetricDistortion, Rerange, RGB2Gray
from .window import RandomResizedWindow

__all__ = [
    'CLAHE',
    'AdjustGamma',
    'Albu',
    'CopyPasteDefects',
    'GenerateEdge',
    'PhotoMetricDistortion',
    'RGB2Gray',
    'RandomChoiceResize',
    'RandomCrop',
    'RandomCutOut',
    'RandomFlip',
    'RandomMosaic',
    'RandomResize',
    'RandomResizedWindow',
    'RandomRotFlip',
    'RandomRotate',
    'RareClassCrop',
    'Rerange',
    'Resize',
    'ResizeShortestEdge',
    'ResizeToMultiple',
    'SegRescale',
]
