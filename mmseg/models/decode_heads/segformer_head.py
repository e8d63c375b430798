"""The decoder of SegFormer. Xie et al., SegFormer, NeurIPS 2021, section 3.2."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class SegformerHead(BaseDecodeHead):
    """Project all levels to one width, resize them to the first one's size, fuse.

    Args:
        interpolate_mode: of the resizing.
        linear_projection: project without norm and activation, as the paper and Hugging Face do; mmsegmentation has
            both.
        kwargs: of :class:`BaseDecodeHead`, ``input_transform`` excepted.
    """

    def __init__(self, interpolate_mode: str = 'bilinear', linear_projection: bool = False, **kwargs) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        self.interpolate_mode = interpolate_mode
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        projection = dict(conv_cfg=self.conv_cfg, act_cfg=None) if linear_projection else common
        self.convs = nn.ModuleList(
            ConvModule(width, self.channels, 1, **projection) for width in self.in_channels
        )
        self.fusion_conv = ConvModule(self.channels * len(self.in_channels), self.channels, 1, **common)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        inputs = self._transform_inputs(inputs)
        size = inputs[0].shape[2:]
        levels = [
            resize(conv(x), size, mode=self.interpolate_mode, align_corners=self.align_corners)
            for conv, x in zip(self.convs, inputs)
        ]
        return self.cls_seg(self.fusion_conv(torch.cat(levels, dim=1)))
