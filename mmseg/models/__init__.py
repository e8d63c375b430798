"""Segmentors, their parts and their losses."""

from mmseg.registry import MODELS

from .backbones import *
from .builder import (
    BACKBONES,
    HEADS,
    LOSSES,
    NECKS,
    SEGMENTORS,
    build_backbone,
    build_head,
    build_loss,
    build_neck,
    build_segmentor,
)
from .data_preprocessor import SegDataPreProcessor
from .decode_heads import *
from .losses import *
from .necks import *
from .segmentors import *
from .utils import *

__all__ = [
    'BACKBONES',
    'HEADS',
    'LOSSES',
    'MODELS',
    'NECKS',
    'SEGMENTORS',
    'SegDataPreProcessor',
    'build_backbone',
    'build_head',
    'build_loss',
    'build_neck',
    'build_segmentor',
]
