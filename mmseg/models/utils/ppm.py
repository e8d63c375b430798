"""Pyramid pooling, as used by PSPNet, UPerNet and Fast-SCNN.

Zhao et al., Pyramid Scene Parsing Network, CVPR 2017, section 3.2.
"""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .pooling import AdaptiveAvgPool2d, check_pooled_batch
from .wrappers import resize


class PPM(nn.ModuleList):
    """Average-pool to several grid sizes, project, and resize back.

    Args:
        pool_scales: grid sizes, one branch each.
        in_channels: channels of the input.
        channels: channels of each branch.
        conv_cfg, norm_cfg, act_cfg: of the 1x1 projection.
        align_corners: of the resize.
        kwargs: passed on to ``ConvModule``.

    Raises:
        ValueError: training with BatchNorm on a single image, where a scale is 1.
    """

    def __init__(
        self,
        pool_scales: Sequence[int],
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
        align_corners: bool,
        **kwargs,
    ) -> None:
        super().__init__(
            nn.Sequential(
                AdaptiveAvgPool2d(scale),
                ConvModule(
                    in_channels, channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs
                ),
            )
            for scale in pool_scales
        )
        self.pool_scales = pool_scales
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> list[Tensor]:
        """One tensor (N, channels, H, W) per scale, from ``x`` (N, in_channels, H, W)."""
        size = x.shape[2:]
        outputs = []
        for pool, project in self:
            pooled = project(check_pooled_batch(pool(x), project, f'pyramid pooling to {pool.output_size}'))
            outputs.append(resize(pooled, size, mode='bilinear', align_corners=self.align_corners))
        return outputs
