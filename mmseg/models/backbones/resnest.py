"""ResNeSt. Zhang et al., ResNeSt: Split-Attention Networks, 2020, section 3."""

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pooling import check_pooled_batch
from ..utils.res_layer import ResLayer
from .resnet import ResNetV1d
from .resnet_blocks import Bottleneck as _Bottleneck

#: Channels at least of the layer between the pooled features and the attention.
_LEAST_CHANNELS = 32


class SplitAttentionConv2d(nn.Module):
    """A grouped convolution to ``radix`` splits, and their sum weighted by attention over the splits (figure 2).

    Args:
        in_channels, channels: of the input, and of each split.
        kernel_size, stride, padding, dilation: of the convolution.
        groups: cardinal groups; each has its own attention.
        radix: number of splits; 1: the attention is a sigmoid gate.
        reduction_factor: by which the layer before the attention is narrower.
        conv_cfg, norm_cfg: as everywhere in mmcv.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        radix: int = 2,
        reduction_factor: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
    ) -> None:
        super().__init__()
        self.radix, self.groups, self.channels = radix, groups, channels
        hidden = max(in_channels * radix // reduction_factor, _LEAST_CHANNELS)
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            channels * radix,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups * radix,
            bias=False,
        )
        self.norm0_name, norm0 = build_norm_layer(norm_cfg, channels * radix, postfix=0)
        self.add_module(self.norm0_name, norm0)
        self.relu = nn.ReLU(inplace=True)
        self.fc1 = build_conv_layer(None, channels, hidden, 1, groups=groups)
        self.norm1_name, norm1 = build_norm_layer(norm_cfg, hidden, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.fc2 = build_conv_layer(None, hidden, channels * radix, 1, groups=groups)

    @property
    def norm0(self) -> nn.Module:
        """Norm after the convolution."""
        return getattr(self, self.norm0_name)

    @property
    def norm1(self) -> nn.Module:
        """Norm of the pooled features."""
        return getattr(self, self.norm1_name)

    def _attention(self, pooled: Tensor) -> Tensor:
        """Weights (N, radix, channels, 1, 1) of the splits from their pooled sum (N, channels, 1, 1)."""
        x = self.fc1(pooled)
        x = self.relu(self.norm1(check_pooled_batch(x, self.norm1, 'ResNeSt')))
        x = self.fc2(x)
        if self.radix == 1:
            return x.sigmoid().unsqueeze(1)
        by_group = x.unflatten(1, (self.groups, self.radix, -1)).transpose(1, 2)
        return by_group.softmax(dim=1).flatten(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        splits = self.relu(self.norm0(self.conv(x))).unflatten(1, (self.radix, self.channels))
        pooled = splits.sum(dim=1).mean(dim=(2, 3), keepdim=True)
        return (splits * self._attention(pooled)).sum(dim=1)


class Bottleneck(_Bottleneck):
    """The bottleneck of ResNet with :class:`SplitAttentionConv2d` in the middle.

    Args:
        inplanes, planes: as of ResNet's.
        groups, radix, reduction_factor: of :class:`SplitAttentionConv2d`.
        base_width, base_channels: with several groups, the 3x3 convolution has
            ``floor(planes * base_width / base_channels) * groups`` channels.
        avg_down_stride: stride by average-pooling after the 3x3 convolution.
        stride, dilation, style, conv_cfg, norm_cfg, kwargs: as of ResNet's; ``dcn`` is not implemented.

    Raises:
        ValueError: ``dcn`` is given.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        groups: int = 1,
        base_width: int = 4,
        base_channels: int = 64,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        *,
        stride: int = 1,
        dilation: int = 1,
        style: str = 'pytorch',
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
        dcn: dict | None = None,
        **kwargs,
    ) -> None:
        if dcn is not None:
            raise ValueError('ResNeSt: dcn is not implemented; leave it out')
        width = planes if groups == 1 else planes * base_width // base_channels * groups
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        super().__init__(
            inplanes, planes, stride=stride, dilation=dilation, style=style, width=width, **common, **kwargs
        )
        stride = stride if style == 'pytorch' else 1
        # it has its own norm
        delattr(self, self.norm2_name)
        self.conv2 = SplitAttentionConv2d(
            width,
            width,
            3,
            stride=1 if avg_down_stride else stride,
            padding=dilation,
            dilation=dilation,
            groups=groups,
            radix=radix,
            reduction_factor=reduction_factor,
            **common,
        )
        self.avd_layer = nn.AvgPool2d(3, stride, padding=1) if avg_down_stride and stride > 1 else None

    def _residual(self, x: Tensor) -> Tensor:
        x = self._plugged(self.relu(self.norm1(self.conv1(x))), 'after_conv1')
        x = self.conv2(x)
        if self.avd_layer is not None:
            x = self.avd_layer(x)
        x = self._plugged(x, 'after_conv2')
        return self._plugged(self.norm3(self.conv3(x)), 'after_conv3')


@MODELS.register_module()
class ResNeSt(ResNetV1d):
    """ResNetV1d with split attention, of 50, 101, 152 or 200 layers.

    Args:
        groups, base_width, radix, reduction_factor, avg_down_stride: of :class:`Bottleneck`.
        kwargs: of :class:`ResNet`.
    """

    arch_settings = {
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
        200: (Bottleneck, (3, 24, 36, 3)),
    }

    def __init__(
        self,
        groups: int = 1,
        base_width: int = 4,
        radix: int = 2,
        reduction_factor: int = 4,
        avg_down_stride: bool = True,
        **kwargs,
    ) -> None:
        self._block_options = dict(
            groups=groups,
            base_width=base_width,
            base_channels=kwargs.get('base_channels', 64),
            radix=radix,
            reduction_factor=reduction_factor,
            avg_down_stride=avg_down_stride,
        )
        super().__init__(**kwargs)

    def make_res_layer(self, **kwargs) -> ResLayer:
        """One stage of ResNeSt's bottlenecks."""
        return ResLayer(**self._block_options, **kwargs)
