"""DeepLabV3+. Chen et al., Encoder-Decoder with Atrous Separable Convolution, ECCV 2018, figure 2."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize
from .aspp_head import ASPPHead, ASPPModule


class DepthwiseSeparableASPPModule(ASPPModule):
    """ASPP whose dilated branches are separable."""

    def _branch(self, dilation: int) -> nn.Module:
        if dilation == 1:
            return super()._branch(dilation)
        return DepthwiseSeparableConvModule(
            self.in_channels,
            self.channels,
            3,
            dilation=dilation,
            padding=dilation,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )


@MODELS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """Separable ASPP, refined by the backbone's first output.

    Args:
        c1_in_channels: channels of that output; 0 for none.
        c1_channels: its channels after projection; 0 if ``c1_in_channels`` is 0.
        kwargs: of :class:`ASPPHead`.
    """

    aspp_module = DepthwiseSeparableASPPModule

    def __init__(self, c1_in_channels: int, c1_channels: int, **kwargs) -> None:
        if c1_in_channels < 0 or (c1_in_channels == 0) != (c1_channels == 0):
            raise ValueError(
                'DepthwiseSeparableASPPHead: c1_in_channels and c1_channels are both positive, or both 0 to '
                f"leave out the backbone's first output; got {c1_in_channels} and {c1_channels}"
            )
        super().__init__(**kwargs)
        common = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.c1_bottleneck = None
        if c1_in_channels > 0:
            self.c1_bottleneck = ConvModule(c1_in_channels, c1_channels, 1, conv_cfg=self.conv_cfg, **common)
        self.sep_bottleneck = nn.Sequential(
            DepthwiseSeparableConvModule(self.channels + c1_channels, self.channels, 3, padding=1, **common),
            DepthwiseSeparableConvModule(self.channels, self.channels, 3, padding=1, **common),
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._forward_feature(inputs)
        if self.c1_bottleneck is not None:
            c1 = self.c1_bottleneck(inputs[0])
            x = resize(x, size=c1.shape[2:], mode='bilinear', align_corners=self.align_corners)
            x = torch.cat([x, c1], dim=1)
        return self.cls_seg(self.sep_bottleneck(x))
