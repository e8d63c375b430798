"""APCNet. He et al., Adaptive Pyramid Context Network for Semantic Segmentation, CVPR 2019, figure 3."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.functional import relu

from mmseg.registry import MODELS

from ..utils.pooling import adaptive_avg_pool, check_pooled_batch
from .decode_head import BaseDecodeHead


class ACM(nn.Module):
    """Adaptive context module: each position weighs the cells of a pooled grid by a learnt affinity.

    Args:
        pool_scale: grid size.
        fusion: whether a last 1x1 convolution follows.
        in_channels: of the input.
        channels: inside the module and of its output.
        conv_cfg, norm_cfg, act_cfg: of the convolutions.

    Raises:
        ValueError: training with BatchNorm on a single image.
    """

    def __init__(
        self,
        pool_scale: int,
        fusion: bool,
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.pool_scale = pool_scale
        self.fusion = fusion
        self.in_channels = in_channels
        self.channels = channels
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.pooled_redu_conv = ConvModule(in_channels, channels, 1, **common)
        self.input_redu_conv = ConvModule(in_channels, channels, 1, **common)
        self.global_info = ConvModule(channels, channels, 1, **common)
        self.gla = nn.Conv2d(channels, pool_scale**2, 1)
        self.residual_conv = ConvModule(channels, channels, 1, **common)
        if fusion:
            self.fusion_conv = ConvModule(channels, channels, 1, **common)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) from (N, in_channels, H, W)."""
        pooled = adaptive_avg_pool(x, self.pool_scale)
        pooled = self.pooled_redu_conv(self._checked(pooled, self.pooled_redu_conv))
        x = self.input_redu_conv(x)
        image = self.global_info(self._checked(adaptive_avg_pool(x, 1), self.global_info))
        # Affinity of each position to each cell, eq. 3; ``image`` is broadcast.
        affinity = torch.sigmoid(self.gla(x + image)).flatten(2)
        context = torch.bmm(pooled.flatten(2), affinity).unflatten(2, x.shape[2:])
        context = relu(self.residual_conv(context) + x)
        return self.fusion_conv(context) if self.fusion else context

    @staticmethod
    def _checked(pooled: Tensor, conv: ConvModule) -> Tensor:
        return check_pooled_batch(pooled, conv, 'APCHead.acm_modules')


@MODELS.register_module()
class APCHead(BaseDecodeHead):
    """Adaptive context at several scales concatenated with the features, then one 3x3 convolution.

    Args:
        pool_scales: grid sizes.
        fusion: whether each scale ends with a 1x1 convolution.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), fusion: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.pool_scales = tuple(pool_scales)
        self.fusion = fusion
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.acm_modules = nn.ModuleList(
            ACM(scale, fusion, self.in_channels, self.channels, **common) for scale in self.pool_scales
        )
        width = self.in_channels + len(self.pool_scales) * self.channels
        self.bottleneck = ConvModule(width, self.channels, 3, padding=1, **common)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        return self.cls_seg(self.bottleneck(torch.cat([x, *(acm(x) for acm in self.acm_modules)], dim=1)))
