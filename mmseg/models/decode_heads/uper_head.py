"""UPerNet. Xiao et al., Unified Perceptual Parsing for Scene Understanding, ECCV 2018, figure 4."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.ppm import PPM
from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class UPerHead(BaseDecodeHead):
    """Pyramid pooling of the deepest input, a feature pyramid over all inputs, and their fusion.

    Args:
        pool_scales: grid sizes of the pooling.
        kwargs: of :class:`BaseDecodeHead`; ``input_transform`` is ``'multiple_select'``.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        *shallow, deepest = self.in_channels
        width = self.channels
        self.psp_modules = PPM(pool_scales, deepest, width, align_corners=self.align_corners, **common)
        self.bottleneck = ConvModule(deepest + len(pool_scales) * width, width, 3, padding=1, **common)
        self.lateral_convs = nn.ModuleList(
            ConvModule(w_in, width, 1, inplace=False, **common) for w_in in shallow
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(width, width, 3, padding=1, inplace=False, **common) for _ in shallow
        )
        self.fpn_bottleneck = ConvModule(len(self.in_channels) * width, width, 3, padding=1, **common)

    def psp_forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Pyramid pooling of the deepest input, (N, channels, h, w)."""
        x = inputs[-1]
        return self.bottleneck(torch.cat([x, *self.psp_modules(x)], dim=1))

    def _resize(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return resize(x, size, mode='bilinear', align_corners=self.align_corners)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features before the classifier, (N, channels, h, w) at the shallowest input's size."""
        inputs = self._transform_inputs(inputs)
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        laterals.append(self.psp_forward(inputs))
        for i in range(len(laterals) - 1, 0, -1):
            laterals[i - 1] = laterals[i - 1] + self._resize(laterals[i], laterals[i - 1].shape[2:])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)] + laterals[-1:]
        outs = [self._resize(x, outs[0].shape[2:]) for x in outs]
        return self.fpn_bottleneck(torch.cat(outs, dim=1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))
