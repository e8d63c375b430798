"""Blocks and functions that several models use."""

from .basic_block import BasicBlock, Bottleneck
from .context_block import ContextBlock, NonLocal2d
from .embed import AdaptivePadding, PatchEmbed, PatchMerging
from .encoding import Encoding
from .inverted_residual import InvertedResidual, InvertedResidualV3
from .make_divisible import make_divisible
from .ppm import DAPPM, PAPPM, PPM
from .pretrained import BaseBackbone, PretrainedInit
from .res_layer import ResLayer
from .se_layer import SELayer
from .self_attention_block import SelfAttentionBlock
from .shape_convert import nchw2nlc2nchw, nchw_to_nlc, nlc2nchw2nlc, nlc_to_nchw
from .targets import stack_gt
from .up_conv_block import UpConvBlock
from .wrappers import Upsample, resize

__all__ = [
    'DAPPM',
    'PAPPM',
    'PPM',
    'AdaptivePadding',
    'BaseBackbone',
    'BasicBlock',
    'Bottleneck',
    'ContextBlock',
    'Encoding',
    'InvertedResidual',
    'InvertedResidualV3',
    'NonLocal2d',
    'PatchEmbed',
    'PatchMerging',
    'PretrainedInit',
    'ResLayer',
    'SELayer',
    'SelfAttentionBlock',
    'UpConvBlock',
    'Upsample',
    'make_divisible',
    'nchw2nlc2nchw',
    'nchw_to_nlc',
    'nlc2nchw2nlc',
    'nlc_to_nchw',
    'resize',
    'stack_gt',
]
