"""DMNet. He et al., Dynamic Multi-Scale Filters for Semantic Segmentation, ICCV 2019."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from .decode_head import BaseDecodeHead


class DCM(nn.Module):
    """Filter a map with kernels that are computed from it (section 3.2).

    Args:
        filter_size: side of the kernels.
        fusion: project the result.
        in_channels: of the map.
        channels: of the result.
        conv_cfg, norm_cfg, act_cfg: of the convolutions.
    """

    def __init__(
        self,
        filter_size: int,
        fusion: bool,
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.filter_size, self.channels = filter_size, channels
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.filter_gen_conv = nn.Conv2d(in_channels, channels, 1)
        self.input_redu_conv = ConvModule(in_channels, channels, 1, **common)
        self.norm = build_norm_layer(norm_cfg, channels)[1] if norm_cfg is not None else None
        self.activate = build_activation_layer(act_cfg)
        self.fusion_conv = ConvModule(channels, channels, 1, **common) if fusion else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) of a map (N, in_channels, H, W)."""
        kernels = self.filter_gen_conv(F.adaptive_avg_pool2d(x, self.filter_size))
        x = self._filtered(self.input_redu_conv(x), kernels)
        x = self.activate(x if self.norm is None else self.norm(x))
        return x if self.fusion_conv is None else self.fusion_conv(x)

    def _filtered(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Each channel of each image (N, C, H, W) correlated with its kernel (N, C, k, k)."""
        n, channels, height, width = x.shape
        after = (self.filter_size - 1) // 2
        before = self.filter_size - 1 - after
        x = F.pad(x, [before, after, before, after])
        if not torch.compiler.is_compiling():
            x = x.reshape(1, n * channels, *x.shape[2:])
            kernels = kernels.reshape(n * channels, 1, *kernels.shape[2:])
            return F.conv2d(x, kernels, groups=n * channels).view(n, channels, height, width)
        # an export with an open batch can't have a number of groups that depends on it
        total = torch.zeros_like(x[:, :, :height, :width])
        for i in range(self.filter_size):
            for j in range(self.filter_size):
                total = total + x[:, :, i : i + height, j : j + width] * kernels[:, :, i : i + 1, j : j + 1]
        return total


@MODELS.register_module()
class DMHead(BaseDecodeHead):
    """The features and those of a :class:`DCM` per filter size, fused by a convolution.

    Args:
        filter_sizes: sides of the kernels.
        fusion: project the result of each.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, filter_sizes: Sequence[int] = (1, 3, 5, 7), fusion: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.filter_sizes, self.fusion = tuple(filter_sizes), fusion
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.dcm_modules = nn.ModuleList(
            DCM(size, fusion, self.in_channels, self.channels, **common) for size in self.filter_sizes
        )
        width = self.in_channels + len(self.filter_sizes) * self.channels
        self.bottleneck = ConvModule(width, self.channels, 3, padding=1, **common)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        filtered = [module(x) for module in self.dcm_modules]
        return self.cls_seg(self.bottleneck(torch.cat([x, *filtered], dim=1)))
