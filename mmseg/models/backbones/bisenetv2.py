"""BiSeNetV2. Yu et al., BiSeNet V2: Bilateral Network with Guided Aggregation, IJCV 2021."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule, build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pooling import check_pooled_batch
from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.wrappers import resize


class DetailBranch(BaseModule):
    """Wide and shallow: one stage per entry of ``detail_channels``, each halving the size (section 4.1)."""

    def __init__(
        self,
        detail_channels: Sequence[int] = (64, 64, 128),
        in_channels: int = 3,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, padding=1)
        stages = []
        for i, width in enumerate(detail_channels):
            previous = in_channels if i == 0 else detail_channels[i - 1]
            convs = [ConvModule(previous, width, 3, stride=2, **common)]
            convs += [ConvModule(width, width, 3, **common) for _ in range(1 if i == 0 else 2)]
            stages.append(nn.Sequential(*convs))
        self.detail_branch = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.detail_branch:
            x = stage(x)
        return x


class StemBlock(BaseModule):
    """Two ways of downsampling side by side: (N, C, H, W) to (N, out_channels, H/4, W/4) (figure 4a)."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 16,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv_first = ConvModule(in_channels, out_channels, 3, stride=2, padding=1, **common)
        self.convs = nn.Sequential(
            ConvModule(out_channels, out_channels // 2, 1, **common),
            ConvModule(out_channels // 2, out_channels, 3, stride=2, padding=1, **common),
        )
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.fuse_last = ConvModule(out_channels * 2, out_channels, 3, padding=1, **common)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        return self.fuse_last(torch.cat([self.convs(x), self.pool(x)], dim=1))


class GELayer(BaseModule):
    """Gather-and-expansion: a depthwise residual block, stride 1 or 2 (figure 5)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        exp_ratio: int = 6,
        stride: int = 1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        hidden = in_channels * exp_ratio
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        depthwise = dict(padding=1, groups=in_channels, **common)
        self.conv1 = ConvModule(in_channels, in_channels, 3, padding=1, act_cfg=act_cfg, **common)
        if stride == 1:
            self.dwconv = nn.Sequential(ConvModule(in_channels, hidden, 3, act_cfg=act_cfg, **depthwise))
            self.shortcut = None
        else:
            self.dwconv = nn.Sequential(
                ConvModule(in_channels, hidden, 3, stride=stride, act_cfg=None, **depthwise),
                ConvModule(hidden, hidden, 3, padding=1, groups=hidden, act_cfg=act_cfg, **common),
            )
            self.shortcut = nn.Sequential(
                DepthwiseSeparableConvModule(
                    in_channels,
                    out_channels,
                    3,
                    stride=stride,
                    padding=1,
                    dw_norm_cfg=norm_cfg,
                    dw_act_cfg=None,
                    pw_norm_cfg=norm_cfg,
                    pw_act_cfg=None,
                )
            )
        self.conv2 = nn.Sequential(ConvModule(hidden, out_channels, 1, act_cfg=None, **common))
        self.act = build_activation_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.shortcut is None else self.shortcut(x)
        return self.act(self.conv2(self.dwconv(self.conv1(x))) + residual)


class CEBlock(BaseModule):
    """Context embedding: the global mean added to every position (figure 4b)."""

    def __init__(
        self,
        in_channels: int = 16,
        out_channels: int = 16,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d(1), build_norm_layer(norm_cfg, in_channels)[1])
        self.conv_gap = ConvModule(in_channels, out_channels, 1, **common)
        self.conv_last = ConvModule(out_channels, out_channels, 3, padding=1, **common)

    def forward(self, x: Tensor) -> Tensor:
        pool, norm = self.gap
        pooled = norm(check_pooled_batch(pool(x), self.conv_gap, 'BiSeNetV2'))
        return self.conv_last(x + self.conv_gap(pooled))


class SemanticBranch(BaseModule):
    """Narrow and deep: a stem, gather-and-expansion stages and context embedding (section 4.2)."""

    def __init__(
        self,
        semantic_channels: Sequence[int] = (16, 32, 64, 128),
        in_channels: int = 3,
        exp_ratio: int = 6,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.stage1 = StemBlock(in_channels, semantic_channels[0], **common)
        self.stage_names = ['stage1']
        last = len(semantic_channels)
        for i in range(2, last + 1):
            previous, width = semantic_channels[i - 2 : i]
            layers = [GELayer(previous, width, exp_ratio, stride=2, **common)]
            layers += [GELayer(width, width, exp_ratio, **common) for _ in range(3 if i == last else 1)]
            self.add_module(f'stage{i}', nn.Sequential(*layers))
            self.stage_names.append(f'stage{i}')
        width = semantic_channels[-1]
        self.add_module(f'stage{last}_CEBlock', CEBlock(width, width, **common))
        self.stage_names.append(f'stage{last}_CEBlock')

    def forward(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, the last with context embedded."""
        outputs = []
        for name in self.stage_names:
            x = getattr(self, name)(x)
            outputs.append(x)
        return outputs


class BGALayer(BaseModule):
    """Bilateral guided aggregation: each branch gates the other (figure 6)."""

    def __init__(
        self,
        out_channels: int = 128,
        align_corners: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.align_corners = align_corners
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        plain = dict(kernel_size=3, padding=1, bias=False, act_cfg=None, **common)
        separable = dict(
            kernel_size=3, padding=1, dw_norm_cfg=norm_cfg, dw_act_cfg=None, pw_norm_cfg=None, pw_act_cfg=None
        )
        width = out_channels
        self.detail_dwconv = nn.Sequential(DepthwiseSeparableConvModule(width, width, **separable))
        self.detail_down = nn.Sequential(
            ConvModule(width, width, stride=2, **plain), nn.AvgPool2d(kernel_size=3, stride=2, padding=1)
        )
        self.semantic_conv = nn.Sequential(ConvModule(width, width, **plain))
        self.semantic_dwconv = nn.Sequential(DepthwiseSeparableConvModule(width, width, **separable))
        self.conv = ConvModule(width, width, 3, padding=1, act_cfg=act_cfg, **common)

    def forward(self, x_d: Tensor, x_s: Tensor) -> Tensor:
        """Fuse detail (N, C, H/8, W/8) and semantics (N, C, H/32, W/32) at the former's size."""

        def to_detail_size(x: Tensor) -> Tensor:
            return resize(x, x_d.shape[2:], mode='bilinear', align_corners=self.align_corners)

        detail = self.detail_dwconv(x_d) * to_detail_size(self.semantic_conv(x_s)).sigmoid()
        semantic = self.detail_down(x_d) * self.semantic_dwconv(x_s).sigmoid()
        return self.conv(detail + to_detail_size(semantic))


@MODELS.register_module()
class BiSeNetV2(BaseBackbone):
    """A detail branch and a semantic branch, each guiding the other.

    Args:
        in_channels: of the image.
        detail_channels: of the detail branch's stages.
        semantic_channels: of the semantic branch's stages.
        semantic_expansion_ratio: of its gather-and-expansion layers.
        bga_channels: of the aggregation; equals ``detail_channels[-1]`` and ``semantic_channels[-1]``.
        out_indices: which of (aggregated, stage 1, …, last stage) ``forward`` returns.
        align_corners: of the aggregation's resizes.
        conv_cfg, norm_cfg, act_cfg: as everywhere in mmcv, of both branches and the aggregation. (In
            mmsegmentation 1.2.2 they have no effect: it always builds BN and ReLU.)
        init_cfg: weight initialisation.
    """

    default_init = KAIMING_INIT

    def __init__(
        self,
        in_channels: int = 3,
        detail_channels: Sequence[int] = (64, 64, 128),
        semantic_channels: Sequence[int] = (16, 32, 64, 128),
        semantic_expansion_ratio: int = 6,
        bga_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2, 3, 4),
        align_corners: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not detail_channels[-1] == semantic_channels[-1] == bga_channels:
            raise ValueError(
                'BiSeNetV2: detail_channels[-1], semantic_channels[-1] and bga_channels are equal, got '
                f'{detail_channels[-1]}, {semantic_channels[-1]} and {bga_channels}'
            )
        if len(semantic_channels) != len(detail_channels) + 1:
            raise ValueError(
                'BiSeNetV2: semantic_channels has one entry more than detail_channels, so that both branches '
                f'end at sizes a factor 4 apart; got {list(semantic_channels)} and {list(detail_channels)}'
            )
        if not set(out_indices) <= set(range(len(semantic_channels) + 1)):
            raise ValueError(
                f'BiSeNetV2: out_indices are among 0 to {len(semantic_channels)}, got {list(out_indices)}'
            )
        self.out_indices = tuple(out_indices)
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.detail = DetailBranch(detail_channels, in_channels, **common)
        self.semantic = SemanticBranch(semantic_channels, in_channels, semantic_expansion_ratio, **common)
        self.bga = BGALayer(bga_channels, align_corners, **common)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs named by ``out_indices`` of an image (N, in_channels, H, W)."""
        *stages, context = self.semantic(x)
        outputs = (self.bga(self.detail(x), context), *stages)
        return tuple(outputs[i] for i in self.out_indices)
