"""A step of U-Net's decoder. Ronneberger et al., U-Net, MICCAI 2015, section 2."""

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS


class UpConvBlock(nn.Module):
    """Upsample the deep features, concatenate the skipped ones, convolve.

    Args:
        conv_block: class of the convolutions, such as ``BasicConvBlock``.
        in_channels, skip_channels, out_channels: of the deep features, of the skipped ones, and of the output.
        num_convs, stride, dilation, with_cp, conv_cfg: of ``conv_block``.
        norm_cfg, act_cfg: of ``conv_block`` and of the upsampling.
        upsample_cfg: of the upsampling by 2; None where the features have one size.
        dcn, plugins: part of the interface; only None.
    """

    def __init__(
        self,
        conv_block: type[nn.Module],
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        num_convs: int = 2,
        stride: int = 1,
        dilation: int = 1,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        upsample_cfg: dict | None = dict(type='InterpConv'),
        dcn: None = None,
        plugins: None = None,
    ) -> None:
        super().__init__()
        if dcn is not None or plugins is not None:
            raise ValueError('UpConvBlock: dcn and plugins are not implemented; leave them out')
        common = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv_block = conv_block(
            2 * skip_channels, out_channels, num_convs, stride, dilation, with_cp, conv_cfg, **common
        )
        if upsample_cfg is None:
            self.upsample = ConvModule(in_channels, skip_channels, 1, conv_cfg=conv_cfg, **common)
        else:
            layer = dict(upsample_cfg, in_channels=in_channels, out_channels=skip_channels, with_cp=with_cp)
            self.upsample = MODELS.build({**layer, **common})

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        """(N, out_channels, H, W) from ``skip`` (N, skip_channels, H, W) and deep features ``x``."""
        return self.conv_block(torch.cat([skip, self.upsample(x)], dim=1))
