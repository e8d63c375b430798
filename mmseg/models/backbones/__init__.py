"""Feature extractors."""

from .fast_scnn import FastSCNN
from .resnet import ResNet, ResNetV1c, ResNetV1d

__all__ = [
    'FastSCNN',
    'ResNet',
    'ResNetV1c',
    'ResNetV1d',
]
