"""Blocks and functions that several models use."""

from .context_block import ContextBlock, NonLocal2d
from .embed import PatchEmbed
from .inverted_residual import InvertedResidual, InvertedResidualV3
from .make_divisible import make_divisible
from .ppm import PPM
from .pretrained import BaseBackbone, PretrainedInit
from .res_layer import ResLayer
from .se_layer import SELayer
from .self_attention_block import SelfAttentionBlock
from .targets import stack_gt
from .wrappers import Upsample, resize

__all__ = [
    'PPM',
    'BaseBackbone',
    'ContextBlock',
    'InvertedResidual',
    'InvertedResidualV3',
    'NonLocal2d',
    'PatchEmbed',
    'PretrainedInit',
    'ResLayer',
    'SELayer',
    'SelfAttentionBlock',
    'Upsample',
    'make_divisible',
    'resize',
    'stack_gt',
]
