"""Necks: modules between backbone and decode head."""

from .featurepyramid import Feature2Pyramid
from .fpn import FPN
from .jpu import JPU
from .multilevel_neck import MultiLevelNeck

__all__ = ['FPN', 'JPU', 'Feature2Pyramid', 'MultiLevelNeck']
