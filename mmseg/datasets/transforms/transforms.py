"""The transforms under upstream's module path."""

from .crop import RandomCrop
from .geometry import (
    RandomChoiceResize,
    RandomFlip,
    RandomResize,
    RandomRotate,
    Resize,
    ResizeShortestEdge,
    ResizeToMultiple,
    SegRescale,
)
from .photometric import CLAHE, AdjustGamma, PhotoMetricDistortion, Rerange, RGB2Gray

__all__ = [
    'CLAHE',
    'AdjustGamma',
    'PhotoMetricDistortion',
    'RGB2Gray',
    'RandomChoiceResize',
    'RandomCrop',
    'RandomFlip',
    'RandomResize',
    'RandomRotate',
    'Rerange',
    'Resize',
    'ResizeShortestEdge',
    'ResizeToMultiple',
    'SegRescale',
]
