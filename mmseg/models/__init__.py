"""Segmentors and their parts."""

from mmseg.registry import MODELS

from .backbones import *
from .data_preprocessor import SegDataPreProcessor
from .decode_heads import *
from .losses import *
from .necks import *
from .segmentors import *
from .utils import *

# Upstream's older names for the one registry of models.
BACKBONES = NECKS = HEADS = LOSSES = SEGMENTORS = MODELS

__all__ = ['BACKBONES', 'HEADS', 'LOSSES', 'MODELS', 'NECKS', 'SEGMENTORS', 'SegDataPreProcessor']
