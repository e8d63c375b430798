"""BiSeNet. Yu et al., BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation, ECCV 2018."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pooling import check_pooled_batch
from ..utils.pretrained import BaseBackbone
from ..utils.wrappers import resize


def _pooled(layers: nn.Sequential, x: Tensor, name: str) -> Tensor:
    """``layers`` (pooling, ``ConvModule``, …) applied to ``x``, with a check of BatchNorm's input."""
    pool, conv, *rest = layers
    x = conv(check_pooled_batch(pool(x), conv, name))
    for layer in rest:
        x = layer(x)
    return x


class SpatialPath(BaseModule):
    """Three stride-2 convolutions and a projection: (N, C, H, W) to (N, num_channels[-1], H/8, W/8)."""

    def __init__(
        self,
        in_channels: int = 3,
        num_channels: Sequence[int] = (64, 64, 64, 128),
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(num_channels) != 4:
            raise ValueError(f'BiSeNetV1: spatial_channels has four entries, got {list(num_channels)}')
        geometry = [dict(kernel_size=7, stride=2, padding=3)]
        geometry += [dict(kernel_size=3, stride=2, padding=1)] * 2 + [dict(kernel_size=1)]
        inputs = (in_channels, *num_channels[:-1])
        for i, (w_in, w_out, kwargs) in enumerate(zip(inputs, num_channels, geometry), start=1):
            conv = ConvModule(w_in, w_out, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
            self.add_module(f'layer{i}', conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class AttentionRefinementModule(BaseModule):
    """A convolution whose channels are gated by their means (section 3.2)."""

    def __init__(
        self,
        in_channels: int,
        out_channel: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.conv_layer = ConvModule(in_channels, out_channel, 3, padding=1, act_cfg=act_cfg, **common)
        self.atten_conv_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            ConvModule(out_channel, out_channel, 1, bias=False, act_cfg=None, **common),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_layer(x)
        return x * _pooled(self.atten_conv_layer, x, 'BiSeNetV1')


class ContextPath(BaseModule):
    """A classification backbone whose deep features are refined and carried upwards (section 3.2)."""

    def __init__(
        self,
        backbone_cfg: dict,
        context_channels: Sequence[int] = (128, 256, 512),
        align_corners: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(context_channels) != 3:
            raise ValueError(f'BiSeNetV1: context_channels has three entries, got {list(context_channels)}')
        self.align_corners = align_corners
        self.backbone = MODELS.build(backbone_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        width, middle, deep = context_channels
        self.arm16 = AttentionRefinementModule(middle, width, **common)
        self.arm32 = AttentionRefinementModule(deep, width, **common)
        self.conv_head32 = ConvModule(width, width, 3, padding=1, **common)
        self.conv_head16 = ConvModule(width, width, 3, padding=1, **common)
        self.gap_conv = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(deep, width, 1, **common))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Context at 1/8 and at 1/16 of the size of ``x``."""
        _, x_8, x_16, x_32 = self.backbone(x)
        context_32 = self.arm32(x_32) + _pooled(self.gap_conv, x_32, 'BiSeNetV1')
        context_32 = self.conv_head32(resize(context_32, x_16.shape[2:], mode='nearest'))
        context_16 = self.arm16(x_16) + context_32
        context_16 = self.conv_head16(resize(context_16, x_8.shape[2:], mode='nearest'))
        return context_16, context_32


class FeatureFusionModule(BaseModule):
    """Both paths concatenated, mixed, and gated by their channel means (section 3.3)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(in_channels, out_channels, 1, **common)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.conv_atten = nn.Sequential(
            ConvModule(out_channels, out_channels, 1, bias=False, **common), nn.Sigmoid()
        )

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        x = self.conv1(torch.cat([spatial, context], dim=1))
        pooled = check_pooled_batch(self.gap(x), self.conv_atten[0], 'BiSeNetV1')
        return x + x * self.conv_atten(pooled)


@MODELS.register_module()
class BiSeNetV1(BaseBackbone):
    """A shallow path for detail and a deep one for context, fused at 1/8 of the image's size.

    Args:
        backbone_cfg: the context path's backbone, with four outputs at 1/4 to 1/32.
        in_channels: of the image.
        spatial_channels: of the spatial path's four layers.
        context_channels: width of the context path, then channels of its backbone's last two outputs.
        out_indices: which of (fused, context at 1/8, context at 1/16) ``forward`` returns.
        align_corners: kept for configs; every resize in this backbone is nearest-neighbour.
        out_channels: of the fused features.
        conv_cfg, norm_cfg, act_cfg: as everywhere in mmcv, of all but the backbone. (In mmsegmentation 1.2.2
            they have no effect: it always builds BN and ReLU.)
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone_cfg: dict,
        in_channels: int = 3,
        spatial_channels: Sequence[int] = (64, 64, 64, 128),
        context_channels: Sequence[int] = (128, 256, 512),
        out_indices: Sequence[int] = (0, 1, 2),
        align_corners: bool = False,
        out_channels: int = 256,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN', requires_grad=True),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not set(out_indices) <= {0, 1, 2}:
            raise ValueError(f'BiSeNetV1: out_indices are among 0, 1, 2, got {list(out_indices)}')
        self.out_indices = tuple(out_indices)
        self.align_corners = align_corners
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.context_path = ContextPath(backbone_cfg, context_channels, align_corners, **common)
        self.spatial_path = SpatialPath(in_channels, spatial_channels, **common)
        self.ffm = FeatureFusionModule(spatial_channels[-1] + context_channels[0], out_channels, **common)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs named by ``out_indices`` of an image (N, in_channels, H, W)."""
        context_8, context_16 = self.context_path(x)
        outputs = (self.ffm(self.spatial_path(x), context_8), context_8, context_16)
        return tuple(outputs[i] for i in self.out_indices)
