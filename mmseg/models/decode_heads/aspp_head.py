"""DeepLabV3. Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, section 3.3."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pooling import AdaptiveAvgPool2d, check_pooled_batch
from .decode_head import BaseDecodeHead


class ASPPModule(nn.ModuleList):
    """Atrous spatial pyramid pooling: one convolution per dilation, 1x1 for dilation 1 and 3x3 otherwise.

    Args:
        dilations: of the branches.
        in_channels: of the input.
        channels: of each branch.
        conv_cfg, norm_cfg, act_cfg: of the branches.
    """

    def __init__(
        self,
        dilations: Sequence[int],
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.dilations = tuple(dilations)
        self.in_channels = in_channels
        self.channels = channels
        self.conv_cfg, self.norm_cfg, self.act_cfg = conv_cfg, norm_cfg, act_cfg
        self.extend(self._branch(dilation) for dilation in self.dilations)

    def _branch(self, dilation: int) -> nn.Module:
        return ConvModule(
            self.in_channels,
            self.channels,
            1 if dilation == 1 else 3,
            dilation=dilation,
            padding=0 if dilation == 1 else dilation,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """One tensor (N, channels, H, W) per dilation."""
        return [branch(x) for branch in self]


@MODELS.register_module()
class ASPPHead(BaseDecodeHead):
    """Atrous branches and an image-level one, then one 3x3 convolution.

    Args:
        dilations: of the branches; at output stride 8 the paper's are 1, 12, 24, 36.
        kwargs: of :class:`BaseDecodeHead`.

    Raises:
        ValueError: training with BatchNorm on a single image.
    """

    aspp_module = ASPPModule

    def __init__(self, dilations: Sequence[int] = (1, 6, 12, 18), **kwargs) -> None:
        super().__init__(**kwargs)
        self.dilations = tuple(dilations)
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.image_pool = nn.Sequential(
            AdaptiveAvgPool2d(1), ConvModule(self.in_channels, self.channels, 1, **common)
        )
        self.aspp_modules = self.aspp_module(
            dilations=self.dilations, in_channels=self.in_channels, channels=self.channels, **common
        )
        width = (len(self.dilations) + 1) * self.channels
        self.bottleneck = ConvModule(width, self.channels, 3, padding=1, **common)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features before the classifier, (N, channels, h, w)."""
        x = self._transform_inputs(inputs)
        pool, project = self.image_pool
        image = project(check_pooled_batch(pool(x), project, f'{type(self).__name__}.image_pool'))
        # Resizing one value is repeating it.
        image = image.expand(-1, -1, *x.shape[2:])
        return self.bottleneck(torch.cat([image, *self.aspp_modules(x)], dim=1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._forward_feature(inputs))
