"""Pyramid pooling: of PSPNet, UPerNet and Fast-SCNN, and of the context branch of DDRNet and PIDNet.

Zhao et al., Pyramid Scene Parsing Network, CVPR 2017, section 3.2.
"""

from collections.abc import Sequence

import torch
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


class DAPPM(nn.Module):
    """Poolings of growing size, each convolved with the sum of the one before. Hong et al., DDRNet, 2021, figure 5.

    Args:
        in_channels, branch_channels, out_channels: of the input, of each scale and of the output.
        num_scales: of them the first is the input itself, the last its mean.
        kernel_sizes, strides, paddings: of the poolings between.
        norm_cfg, act_cfg, conv_cfg: of the ``ConvModule``; ``conv_cfg`` has its further arguments.
        upsample_mode: by which the scales are enlarged.

    Raises:
        ValueError: there are not ``num_scales - 2`` poolings; or training with BatchNorm on a single image.
    """

    def __init__(
        self,
        in_channels: int,
        branch_channels: int,
        out_channels: int,
        num_scales: int,
        kernel_sizes: Sequence[int] = (5, 9, 17),
        strides: Sequence[int] = (2, 4, 8),
        paddings: Sequence[int] = (2, 4, 8),
        norm_cfg: dict | None = dict(type='BN', momentum=0.1),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        conv_cfg: dict = dict(order=('norm', 'act', 'conv'), bias=False),
        upsample_mode: str = 'bilinear',
    ) -> None:
        super().__init__()
        if not len(kernel_sizes) == len(strides) == len(paddings) == num_scales - 2:
            raise ValueError(
                f'{type(self).__name__}: num_scales={num_scales} has {num_scales - 2} poolings, got '
                f'kernel_sizes={kernel_sizes}, strides={strides}, paddings={paddings}'
            )
        self.num_scales, self.upsample_mode = num_scales, upsample_mode
        self._common = dict(norm_cfg=norm_cfg, act_cfg=act_cfg, **conv_cfg)
        project = [ConvModule(in_channels, branch_channels, 1, **self._common) for _ in range(num_scales)]
        pools = [nn.AvgPool2d(*sizes) for sizes in zip(kernel_sizes, strides, paddings)] + [
            AdaptiveAvgPool2d(1)
        ]
        self.scales = nn.ModuleList(
            [project[0], *(nn.Sequential(pool, conv) for pool, conv in zip(pools, project[1:]))]
        )
        self.processes = self._make_processes(branch_channels)
        self.compression = ConvModule(branch_channels * num_scales, out_channels, 1, **self._common)
        self.shortcut = ConvModule(in_channels, out_channels, 1, **self._common)

    def _make_processes(self, channels: int) -> nn.Module:
        return nn.ModuleList(
            ConvModule(channels, channels, 3, padding=1, **self._common) for _ in range(self.num_scales - 1)
        )

    def _pooled(self, x: Tensor) -> list[Tensor]:
        """The scales after the first, enlarged to the size of ``x``."""
        outputs = []
        for pool, project in self.scales[1:]:
            small = project(check_pooled_batch(pool(x), project, type(self).__name__))
            outputs.append(resize(small, x.shape[2:], mode=self.upsample_mode))
        return outputs

    def _processed(self, first: Tensor, pooled: list[Tensor]) -> list[Tensor]:
        outputs = [first]
        for process, scale in zip(self.processes, pooled):
            outputs.append(process(scale + outputs[-1]))
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        scales = self._processed(self.scales[0](x), self._pooled(x))
        return self.compression(torch.cat(scales, dim=1)) + self.shortcut(x)


class PAPPM(DAPPM):
    """:class:`DAPPM` whose scales do not wait for each other. Xu et al., PIDNet, CVPR 2023, figure 7."""

    def _make_processes(self, channels: int) -> nn.Module:
        scales = self.num_scales - 1
        width = channels * scales
        return ConvModule(width, width, 3, padding=1, groups=scales, **self._common)

    def _processed(self, first: Tensor, pooled: list[Tensor]) -> list[Tensor]:
        return [first, self.processes(torch.cat([scale + first for scale in pooled], dim=1))]
