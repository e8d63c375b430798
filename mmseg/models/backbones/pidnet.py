"""PIDNet. Xu et al., PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers, CVPR 2023, section 3."""

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.basic_block import BasicBlock, Bottleneck
from ..utils.ppm import DAPPM, PAPPM
from ..utils.wrappers import resize
from .branched_backbone import BranchedBackbone


class PagFM(BaseModule):
    """Add the integral branch to the detail branch, each pixel by how similar both are (figure 5).

    Args:
        in_channels, channels: of both branches, and of the projections that are compared.
        norm_cfg: of the projections.
        upsample_mode: by which the integral branch is enlarged.
    """

    def __init__(
        self, in_channels: int, channels: int, norm_cfg: dict | None, upsample_mode: str = 'bilinear'
    ) -> None:
        super().__init__()
        self.upsample_mode = upsample_mode
        self.f_i = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.f_p = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def forward(self, x_p: Tensor, x_i: Tensor) -> Tensor:
        """The detail branch (N, C, H, W), with what it takes from the integral branch (N, C, h, w)."""
        size = x_p.shape[2:]
        enlarged = resize(self.f_i(x_i), size, mode=self.upsample_mode)
        similarity = torch.sigmoid((self.f_p(x_p) * enlarged).sum(dim=1, keepdim=True))
        return similarity * resize(x_i, size, mode=self.upsample_mode) + (1 - similarity) * x_p


class Bag(BaseModule):
    """Details where the boundary branch sees an edge, the integral branch elsewhere, convolved (figure 8).

    Args:
        in_channels, out_channels: of the branches and of the output.
        norm_cfg, act_cfg: of the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: dict | None, act_cfg: dict | None
    ) -> None:
        super().__init__()
        self.conv = ConvModule(
            in_channels,
            out_channels,
            3,
            padding=1,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            order=('norm', 'act', 'conv'),
        )

    def forward(self, x_p: Tensor, x_i: Tensor, x_d: Tensor) -> Tensor:
        """Detail, integral and boundary branch (N, C, h, w) to (N, out_channels, h, w)."""
        edge = torch.sigmoid(x_d)
        return self.conv(edge * x_p + (1 - edge) * x_i)


class LightBag(BaseModule):
    """:class:`Bag` with two 1 x 1 convolutions without activation; arguments as there."""

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict | None) -> None:
        super().__init__()
        self.f_p = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.f_i = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def forward(self, x_p: Tensor, x_i: Tensor, x_d: Tensor) -> Tensor:
        """Detail, integral and boundary branch (N, C, h, w) to (N, out_channels, h, w)."""
        edge = torch.sigmoid(x_d)
        return self.f_p((1 - edge) * x_i + x_p) + self.f_i(x_i + edge * x_p)


@MODELS.register_module()
class PIDNet(BranchedBackbone):
    """Branches for details (P), context (I) and boundaries (D) behind a common stem.

    Args:
        in_channels: of the image.
        channels: of the first convolutions; 32 for PIDNet-S, 64 for -M and -L.
        ppm_channels: of each scale of the pyramid pooling.
        num_stem_blocks: blocks of each stage of stem and detail branch; 2 for -S and -M. With 3, as -L has, the boundary
            branch is wider, and pooling and fusion are those of the larger model.
        num_branch_blocks: blocks of each stage of the context branch; 3 for -S and -M, 4 for -L.
        align_corners: of the resizes.
        norm_cfg, act_cfg: as everywhere in mmcv.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation; Kaiming for convolutions if neither is given.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 64,
        ppm_channels: int = 96,
        num_stem_blocks: int = 2,
        num_branch_blocks: int = 3,
        align_corners: bool = False,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            in_channels, channels, num_stem_blocks, align_corners, norm_cfg, act_cfg, pretrained, init_cfg
        )
        low, high, context = channels * 2, channels * 4, channels * 8
        common = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.i_branch_layers = nn.ModuleList(
            [
                self._stage(BasicBlock, low, high, num_branch_blocks, stride=2),
                self._stage(BasicBlock, high, context, num_branch_blocks, stride=2),
                self._stage(Bottleneck, context, context, 2, stride=2),
            ]
        )
        self.p_branch_layers = nn.ModuleList(
            [
                self._stage(BasicBlock, low, low, num_stem_blocks),
                self._stage(BasicBlock, low, low, num_stem_blocks),
                self._stage(Bottleneck, low, low, 1),
            ]
        )
        plain = dict(norm_cfg=norm_cfg, act_cfg=None)
        self.compression_1 = ConvModule(high, low, 1, **plain)
        self.compression_2 = ConvModule(context, low, 1, **plain)
        self.pag_1 = PagFM(low, channels, norm_cfg)
        self.pag_2 = PagFM(low, channels, norm_cfg)
        light = num_stem_blocks == 2
        self.d_branch_layers = nn.ModuleList(self._boundary_layers(channels, light))
        self.diff_1 = ConvModule(high, channels if light else low, 3, padding=1, **plain)
        self.diff_2 = ConvModule(context, low, 3, padding=1, **plain)
        pooling = PAPPM if light else DAPPM
        self.spp = pooling(2 * context, ppm_channels, high, num_scales=5, **common)
        self.dfm = LightBag(high, high, norm_cfg) if light else Bag(high, high, norm_cfg, act_cfg)

    def _boundary_layers(self, channels: int, light: bool) -> list[nn.Module]:
        low = channels * 2
        if light:
            first = self._blocks(BasicBlock, low, channels, 1)[0]
            return [
                first,
                self._stage(Bottleneck, channels, channels, 1),
                self._stage(Bottleneck, low, low, 1),
            ]
        first, second = (self._blocks(BasicBlock, low, low, 1)[0] for _ in range(2))
        return [first, second, self._stage(Bottleneck, low, low, 1)]

    def _shortcut(self, in_channels: int, out_channels: int, stride: int) -> ConvModule:
        return ConvModule(in_channels, out_channels, 1, stride, norm_cfg=self.norm_cfg, act_cfg=None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From an image (N, in_channels, H, W) three maps at 1/8 of its size.

        Returns:
            The detail branch after the first exchange, (N, 2 * channels, h, w), the sum of the branches,
            (N, 4 * channels, h, w), and the boundary branch after the second exchange, (N, 2 * channels, h, w).
        """
        x = self.stem(x)
        x_i = self.relu(self.i_branch_layers[0](x))
        x_p = self.pag_1(self.p_branch_layers[0](x), self.compression_1(x_i))
        x_d = self.d_branch_layers[0](x)
        x_d = x_d + self._enlarged(self.diff_1(x_i), x_d)
        detail = x_p

        x_i = self.relu(self.i_branch_layers[1](x_i))
        x_p = self.pag_2(self.p_branch_layers[1](self.relu(x_p)), self.compression_2(x_i))
        x_d = self.d_branch_layers[1](self.relu(x_d))
        x_d = x_d + self._enlarged(self.diff_2(x_i), x_d)
        boundary = x_d

        x_p = self.p_branch_layers[2](self.relu(x_p))
        x_d = self.d_branch_layers[2](self.relu(x_d))
        x_i = self._enlarged(self.spp(self.i_branch_layers[2](x_i)), x_p)
        return detail, self.dfm(x_p, x_i, x_d), boundary
