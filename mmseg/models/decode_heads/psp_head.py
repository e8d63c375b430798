"""PSPNet. Zhao et al., Pyramid Scene Parsing Network, CVPR 2017, figure 3."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor

from mmseg.registry import MODELS

from ..utils.ppm import PPM
from ..utils.pyramid_conv import PyramidConv
from .decode_head import BaseDecodeHead

__all__ = ['PPM', 'PSPHead']


@MODELS.register_module()
class PSPHead(BaseDecodeHead):
    """Pyramid pooling concatenated with the features, then one 3x3 convolution.

    Args:
        pool_scales: grid sizes of the pooling.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs) -> None:
        super().__init__(**kwargs)
        self.pool_scales = tuple(pool_scales)
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.psp_modules = PPM(
            self.pool_scales, self.in_channels, self.channels, align_corners=self.align_corners, **common
        )
        width = self.in_channels + len(self.pool_scales) * self.channels
        self.bottleneck = ConvModule(width, self.channels, 3, padding=1, **common)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features before the classifier, (N, channels, h, w)."""
        x = self._transform_inputs(inputs)
        if isinstance(self.bottleneck, PyramidConv):
            return self.bottleneck(x, [module(x) for module in self.psp_modules])
        return self.bottleneck(torch.cat([x, *self.psp_modules(x)], dim=1))

    def prepare_for_inference(self) -> None:
        """Compute the convolution without enlarging the pooled maps; for batch norms that are folded, or evaluation."""
        self.bottleneck = PyramidConv(self.bottleneck, self.in_channels, self.align_corners)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))
