"""FCN. Long, Shelhamer and Darrell, Fully Convolutional Networks for Semantic Segmentation, CVPR 2015."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from .decode_head import BaseDecodeHead


@MODELS.register_module()
class FCNHead(BaseDecodeHead):
    """A few convolutions and a classifier.

    Args:
        num_convs: number of convolutions; 0 needs ``in_channels == channels``.
        kernel_size: of the convolutions.
        concat_input: whether the input is concatenated to the convolved features before the classifier.
        dilation: of the convolutions.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(
        self, num_convs: int = 2, kernel_size: int = 3, concat_input: bool = True, dilation: int = 1, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if num_convs < 0 or dilation < 1:
            raise ValueError(f'FCNHead: num_convs >= 0 and dilation >= 1, got {num_convs} and {dilation}')
        if num_convs == 0 and self.in_channels != self.channels:
            raise ValueError(
                f'FCNHead: num_convs=0 needs in_channels == channels, got {self.in_channels} and {self.channels}'
            )
        self.num_convs = num_convs
        self.kernel_size = kernel_size
        self.concat_input = concat_input
        padding = kernel_size // 2 * dilation
        widths = [self.in_channels] + [self.channels] * num_convs
        convs = [
            self._conv(w_in, w_out, padding=padding, dilation=dilation) for w_in, w_out in pairwise(widths)
        ]
        self.convs = nn.Sequential(*convs) if convs else nn.Identity()
        if concat_input:
            self.conv_cat = self._conv(
                self.in_channels + self.channels, self.channels, padding=kernel_size // 2
            )

    def _conv(self, in_channels: int, out_channels: int, **kwargs) -> nn.Module:
        return ConvModule(
            in_channels,
            out_channels,
            self.kernel_size,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
            **kwargs,
        )

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features before the classifier, (N, channels, h, w)."""
        x = self._transform_inputs(inputs)
        feats = self.convs(x)
        return self.conv_cat(torch.cat([x, feats], dim=1)) if self.concat_input else feats

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))
