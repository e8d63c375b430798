"""Fast-SCNN. Poudel, Liwicki and Cipolla, Fast-SCNN: Fast Semantic Segmentation Network, BMVC 2019, table 1."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.inverted_residual import InvertedResidual
from ..utils.ppm import PPM
from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.wrappers import resize


class LearningToDownsample(nn.Module):
    """Three stride-2 convolutions: (N, C, H, W) to (N, out_channels, H/8, W/8)."""

    def __init__(
        self,
        in_channels: int,
        dw_channels: Sequence[int],
        out_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        dw_act_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        first, second = dw_channels
        separable = dict(kernel_size=3, stride=2, padding=1, norm_cfg=norm_cfg, dw_act_cfg=dw_act_cfg)
        self.conv = ConvModule(
            in_channels, first, 3, stride=2, padding=1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg
        )
        self.dsconv1 = DepthwiseSeparableConvModule(first, second, **separable)
        self.dsconv2 = DepthwiseSeparableConvModule(second, out_channels, **separable)

    def forward(self, x: Tensor) -> Tensor:
        return self.dsconv2(self.dsconv1(self.conv(x)))


class GlobalFeatureExtractor(nn.Module):
    """Three stages of inverted residuals and pyramid pooling: to (N, out_channels, H/4, W/4) by default."""

    def __init__(
        self,
        in_channels: int = 64,
        block_channels: Sequence[int] = (64, 96, 128),
        out_channels: int = 128,
        expand_ratio: int = 6,
        num_blocks: Sequence[int] = (3, 3, 3),
        strides: Sequence[int] = (2, 2, 1),
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if not len(block_channels) == len(num_blocks) == len(strides) == 3:
            raise ValueError(
                'Fast-SCNN has three stages; global_block_channels, global_block_strides and num_blocks need '
                f'three entries each, got {block_channels}, {strides}, {num_blocks}'
            )
        self.conv_cfg, self.norm_cfg, self.act_cfg = conv_cfg, norm_cfg, act_cfg
        stage_inputs = (in_channels, *block_channels[:2])
        stages = zip(stage_inputs, block_channels, num_blocks, strides)
        self.bottleneck1, self.bottleneck2, self.bottleneck3 = (
            self._make_layer(*stage, expand_ratio) for stage in stages
        )
        last = block_channels[2]
        self.ppm = PPM(
            pool_scales,
            last,
            last // 4,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            align_corners=align_corners,
        )
        self.out = ConvModule(
            last + len(pool_scales) * (last // 4),
            out_channels,
            3,
            padding=1,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )

    def _make_layer(
        self, in_channels: int, out_channels: int, blocks: int, stride: int, expand_ratio: int
    ) -> nn.Sequential:
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        return nn.Sequential(
            *(
                InvertedResidual(
                    in_channels if i == 0 else out_channels,
                    out_channels,
                    stride if i == 0 else 1,
                    expand_ratio,
                    **common,
                )
                for i in range(blocks)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.bottleneck3(self.bottleneck2(self.bottleneck1(x)))
        return self.out(torch.cat([x, *self.ppm(x)], dim=1))


class FeatureFusionModule(nn.Module):
    """Sum of the detailed branch and the upsampled global branch, at the detailed branch's size."""

    def __init__(
        self,
        higher_in_channels: int,
        lower_in_channels: int,
        out_channels: int,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        dwconv_act_cfg: dict | None = dict(type='ReLU'),
        conv_act_cfg: dict | None = None,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.dwconv = ConvModule(
            lower_in_channels,
            out_channels,
            3,
            padding=1,
            groups=out_channels,
            act_cfg=dwconv_act_cfg,
            **common,
        )
        self.conv_lower_res = ConvModule(out_channels, out_channels, 1, act_cfg=conv_act_cfg, **common)
        self.conv_higher_res = ConvModule(higher_in_channels, out_channels, 1, act_cfg=conv_act_cfg, **common)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, higher_res_feature: Tensor, lower_res_feature: Tensor) -> Tensor:
        lower = resize(
            lower_res_feature,
            size=higher_res_feature.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )
        lower = self.conv_lower_res(self.dwconv(lower))
        return self.relu(self.conv_higher_res(higher_res_feature) + lower)


def _check_equal(**channels: int) -> None:
    """Raise unless two arguments that describe the same tensor are equal."""
    if len(set(channels.values())) > 1:
        text = ' and '.join(f'{name} ({value})' for name, value in channels.items())
        raise ValueError(f'FastSCNN: {text} describe the same tensor and must be equal')


@MODELS.register_module()
class FastSCNN(BaseBackbone):
    """Fast-SCNN's three modules up to the fused features; the classifier is ``DepthwiseSeparableFCNHead``.

    Args:
        in_channels: of the image.
        downsample_dw_channels: of the first two convolutions in learning-to-downsample.
        global_in_channels: of the global feature extractor's input; equals ``higher_in_channels``.
        global_block_channels, global_block_strides: of its three stages.
        global_out_channels: of its output; equals ``lower_in_channels``.
        higher_in_channels, lower_in_channels: of the fusion's two inputs.
        fusion_out_channels: of the fused features.
        out_indices: which of (higher, lower, fused) ``forward`` returns.
        conv_cfg, norm_cfg, act_cfg, align_corners: as everywhere in mmcv.
        dw_act_cfg: activation after depthwise convolutions in learning-to-downsample.
        init_cfg: weight initialisation; Kaiming for convolutions if None.
    """

    default_init = KAIMING_INIT

    def __init__(
        self,
        in_channels: int = 3,
        downsample_dw_channels: Sequence[int] = (32, 48),
        global_in_channels: int = 64,
        global_block_channels: Sequence[int] = (64, 96, 128),
        global_block_strides: Sequence[int] = (2, 2, 1),
        global_out_channels: int = 128,
        higher_in_channels: int = 64,
        lower_in_channels: int = 128,
        fusion_out_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2),
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        align_corners: bool = False,
        dw_act_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check_equal(global_in_channels=global_in_channels, higher_in_channels=higher_in_channels)
        _check_equal(global_out_channels=global_out_channels, lower_in_channels=lower_in_channels)
        if not set(out_indices) <= {0, 1, 2}:
            raise ValueError(
                f'FastSCNN: out_indices are among 0, 1, 2 (higher, lower, fused), got {out_indices}'
            )
        self.out_indices = out_indices
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.learning_to_downsample = LearningToDownsample(
            in_channels,
            downsample_dw_channels,
            global_in_channels,
            act_cfg=act_cfg,
            dw_act_cfg=dw_act_cfg,
            **common,
        )
        self.global_feature_extractor = GlobalFeatureExtractor(
            global_in_channels,
            global_block_channels,
            global_out_channels,
            strides=global_block_strides,
            act_cfg=act_cfg,
            align_corners=align_corners,
            **common,
        )
        self.feature_fusion = FeatureFusionModule(
            higher_in_channels,
            lower_in_channels,
            fusion_out_channels,
            dwconv_act_cfg=act_cfg,
            align_corners=align_corners,
            **common,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs named by ``out_indices`` of an image (N, in_channels, H, W), at 1/8, 1/32 and 1/8 size."""
        higher = self.learning_to_downsample(x)
        lower = self.global_feature_extractor(higher)
        outputs = (higher, lower, self.feature_fusion(higher, lower))
        return tuple(outputs[i] for i in self.out_indices)
