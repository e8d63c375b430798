"""Inverted residual blocks.

Sandler et al., MobileNetV2, CVPR 2018, section 3.3; Howard et al., Searching for MobileNetV3, ICCV 2019,
figure 4.
"""

import torch.utils.checkpoint as cp
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .se_layer import SELayer


class _Residual(nn.Module):
    """``x + body(x)`` if the shapes agree, optionally recomputing ``body`` in backward."""

    def __init__(self, residual: bool, with_cp: bool) -> None:
        super().__init__()
        self.with_res_shortcut = residual
        self.with_cp = with_cp

    def _body(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            out = cp.checkpoint(self._body, x, use_reentrant=False)
        else:
            out = self._body(x)
        return x + out if self.with_res_shortcut else out


def _check_stride(stride: int) -> None:
    if stride not in (1, 2):
        raise ValueError(f'the stride of an inverted residual block is 1 or 2, got {stride}')


class InvertedResidual(_Residual):
    """MobileNetV2's block: expand by 1x1, filter depthwise, project by a linear 1x1.

    Args:
        in_channels, out_channels: of the block.
        stride: 1 or 2, of the depthwise convolution.
        expand_ratio: hidden channels per input channel; 1 leaves the expansion out.
        dilation: of the depthwise convolution.
        conv_cfg, norm_cfg, act_cfg: of every convolution (no activation after the last).
        with_cp: recompute activations in backward to save memory.
        kwargs: passed on to every ``ConvModule``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand_ratio: float,
        dilation: int = 1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU6'),
        with_cp: bool = False,
        **kwargs,
    ) -> None:
        _check_stride(stride)
        super().__init__(stride == 1 and in_channels == out_channels, with_cp)
        self.stride = stride
        hidden = round(in_channels * expand_ratio)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, **kwargs)
        layers = []
        if expand_ratio != 1:
            layers.append(ConvModule(in_channels, hidden, 1, act_cfg=act_cfg, **common))
        layers.append(
            ConvModule(
                hidden,
                hidden,
                3,
                stride=stride,
                padding=dilation,
                dilation=dilation,
                groups=hidden,
                act_cfg=act_cfg,
                **common,
            )
        )
        layers.append(ConvModule(hidden, out_channels, 1, act_cfg=None, **common))
        self.conv = nn.Sequential(*layers)

    def _body(self, x: Tensor) -> Tensor:
        return self.conv(x)


class InvertedResidualV3(_Residual):
    """MobileNetV3's block: :class:`InvertedResidual` with squeeze-and-excitation in the middle.

    Args:
        in_channels, out_channels: of the block.
        mid_channels: channels of the depthwise convolution.
        kernel_size: of the depthwise convolution.
        stride: 1 or 2.
        se_cfg: arguments of :class:`SELayer`, None for none.
        with_expand_conv: whether a 1x1 convolution expands to ``mid_channels``; without it
            ``mid_channels`` must equal ``in_channels``.
        conv_cfg, norm_cfg, act_cfg: of every convolution (no activation after the last).
        with_cp: recompute activations in backward to save memory.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: dict | None = None,
        with_expand_conv: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        with_cp: bool = False,
    ) -> None:
        _check_stride(stride)
        super().__init__(stride == 1 and in_channels == out_channels, with_cp)
        if not with_expand_conv and mid_channels != in_channels:
            raise ValueError(
                f'with_expand_conv=False needs mid_channels == in_channels, got {mid_channels} and {in_channels}'
            )
        self.with_se = se_cfg is not None
        self.with_expand_conv = with_expand_conv
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        if with_expand_conv:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=act_cfg, **common)
        # TensorFlow's SAME padding, which the published stride-2 weights assume
        depthwise_conv = dict(type='mmseg.SamePadConv2d') if stride == 2 else conv_cfg
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=mid_channels,
            conv_cfg=depthwise_conv,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        if self.with_se:
            self.se = SELayer(**se_cfg)
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **common)

    def _body(self, x: Tensor) -> Tensor:
        if self.with_expand_conv:
            x = self.expand_conv(x)
        x = self.depthwise_conv(x)
        if self.with_se:
            x = self.se(x)
        return self.linear_conv(x)
