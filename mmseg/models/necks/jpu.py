"""Joint pyramid upsampling. Wu et al., FastFCN: Rethinking Dilated Convolution in the Backbone, 2019, figure 4."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize


@MODELS.register_module()
class JPU(BaseModule):
    """Replaces the deepest input by a fusion of all inputs at the size of the shallowest one.

    Args:
        in_channels: of the backbone's outputs.
        mid_channels: of each projection and each dilated branch.
        start_level, end_level: the range of inputs used; ``end_level=-1`` means all to the last.
        dilations: one depthwise separable branch each.
        align_corners: of the resize.
        conv_cfg, norm_cfg, act_cfg, init_cfg: as everywhere in mmcv.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 2048),
        mid_channels: int = 512,
        start_level: int = 0,
        end_level: int = -1,
        dilations: Sequence[int] = (1, 2, 4, 8),
        align_corners: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        levels = len(in_channels)
        stop = levels if end_level == -1 else end_level
        if not 0 <= start_level < stop <= levels:
            raise ValueError(
                f"JPU: levels {start_level} to {end_level} don't lie within {levels} inputs {list(in_channels)}"
            )
        self.in_channels = tuple(in_channels)
        self.start_level, self.backbone_end_level = start_level, stop
        self.align_corners = align_corners
        self.conv_layers = nn.ModuleList(
            nn.Sequential(
                ConvModule(
                    width, mid_channels, 3, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg
                )
            )
            for width in in_channels[start_level:stop]
        )
        self.dilation_layers = nn.ModuleList(
            nn.Sequential(
                DepthwiseSeparableConvModule(
                    (stop - start_level) * mid_channels,
                    mid_channels,
                    3,
                    padding=dilation,
                    dilation=dilation,
                    dw_norm_cfg=norm_cfg,
                    dw_act_cfg=None,
                    pw_norm_cfg=norm_cfg,
                    pw_act_cfg=act_cfg,
                )
            )
            for dilation in dilations
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """All used inputs but the last, then (N, len(dilations) * mid_channels, H, W) at the first's size."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'JPU: built for {len(self.in_channels)} inputs, got {len(inputs)}')
        used = inputs[self.start_level : self.backbone_end_level]
        feats = [conv(x) for conv, x in zip(self.conv_layers, used)]
        size = feats[0].shape[2:]
        joined = torch.cat(
            [resize(x, size, mode='bilinear', align_corners=self.align_corners) for x in feats], dim=1
        )
        return (*used[:-1], torch.cat([layer(joined) for layer in self.dilation_layers], dim=1))
