"""Decode heads: from features to logits and losses."""

from .ann_head import ANNHead
from .apc_head import APCHead
from .aspp_head import ASPPHead
from .bn_head import BNHead
from .cascade_decode_head import BaseCascadeDecodeHead
from .cc_head import CCHead
from .da_head import DAHead
from .ddr_head import DDRHead
from .decode_head import BaseDecodeHead
from .dm_head import DMHead
from .dpt_head import DPTHead
from .enc_head import EncHead
from .fcn_head import FCNHead
from .fpn_head import FPNHead
from .gc_head import GCHead
from .isa_head import ISAHead
from .lraspp_head import LRASPPHead
from .nl_head import NLHead
from .ocr_head import OCRHead
from .pid_head import PIDHead
from .psa_head import PSAHead
from .psp_head import PSPHead
from .segformer_head import SegformerHead
from .sep_aspp_head import DepthwiseSeparableASPPHead
from .sep_fcn_head import DepthwiseSeparableFCNHead
from .unet_head import UnetHead
from .unetplusplus_head import UnetPlusPlusHead
from .uper_head import UPerHead

__all__ = [
    'ANNHead',
    'APCHead',
    'ASPPHead',
    'BNHead',
    'BaseCascadeDecodeHead',
    'BaseDecodeHead',
    'CCHead',
    'DAHead',
    'DDRHead',
    'DMHead',
    'DPTHead',
    'DepthwiseSeparableASPPHead',
    'DepthwiseSeparableFCNHead',
    'EncHead',
    'FCNHead',
    'FPNHead',
    'GCHead',
    'ISAHead',
    'LRASPPHead',
    'NLHead',
    'OCRHead',
    'PIDHead',
    'PSAHead',
    'PSPHead',
    'SegformerHead',
    'UPerHead',
    'UnetHead',
    'UnetPlusPlusHead',
]
