"""Blocks that several models share."""

from .inverted_residual import InvertedResidual, InvertedResidualV3
from .make_divisible import make_divisible
from .ppm import PPM
from .se_layer import SELayer
from .targets import stack_gt
from .wrappers import Upsample, resize

__all__ = [
    'PPM',
    'InvertedResidual',
    'InvertedResidualV3',
    'SELayer',
    'Upsample',
    'make_divisible',
    'resize',
    'stack_gt',
]
