"""From features to logits and losses."""

from .decode_head import BaseDecodeHead
from .fcn_head import FCNHead
from .sep_fcn_head import DepthwiseSeparableFCNHead

__all__ = ['BaseDecodeHead', 'DepthwiseSeparableFCNHead', 'FCNHead']
