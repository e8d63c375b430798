"""DDRNet. Hong et al., Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation, 2021, section 3."""

from mmcv.cnn import ConvModule, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.basic_block import BasicBlock, Bottleneck
from ..utils.ppm import DAPPM
from .branched_backbone import BranchedBackbone


@MODELS.register_module()
class DDRNet(BranchedBackbone):
    """A branch at 1/8 of the image's size and one down to 1/64, which exchange their features twice.

    Args:
        in_channels: of the image.
        channels: of the first convolutions; 32 for DDRNet-23-slim, 64 for DDRNet-23.
        ppm_channels: of each scale of the pyramid pooling.
        align_corners: of the resizes.
        norm_cfg, act_cfg: as everywhere in mmcv.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation; Kaiming for convolutions if neither is given.
    """

    def __init__(
        self,
        in_channels: int = 3,
        channels: int = 32,
        ppm_channels: int = 128,
        align_corners: bool = False,
        norm_cfg: dict | None = dict(type='BN', requires_grad=True),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(in_channels, channels, 2, align_corners, norm_cfg, act_cfg, pretrained, init_cfg)
        low, high, context = channels * 2, channels * 4, channels * 8
        common = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        shrink = dict(kernel_size=3, stride=2, padding=1)
        self.context_branch_layers = nn.ModuleList(
            [
                self._stage(BasicBlock, low, high, 2, stride=2),
                self._stage(BasicBlock, high, context, 2, stride=2),
                self._stage(Bottleneck, context, context, 1, stride=2),
            ]
        )
        plain = dict(norm_cfg=norm_cfg, act_cfg=None)
        self.compression_1 = ConvModule(high, low, 1, **plain)
        self.down_1 = ConvModule(low, high, **shrink, **plain)
        self.compression_2 = ConvModule(context, low, 1, **plain)
        self.down_2 = nn.Sequential(
            ConvModule(low, high, **shrink, **common), ConvModule(high, context, **shrink, **plain)
        )
        self.spatial_branch_layers = nn.ModuleList(
            [
                self._stage(BasicBlock, low, low, 2),
                self._stage(BasicBlock, low, low, 2),
                self._stage(Bottleneck, low, low, 1),
            ]
        )
        self.spp = DAPPM(2 * context, ppm_channels, high, num_scales=5, **common)

    def _shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
        conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        return nn.Sequential(conv, build_norm_layer(self.norm_cfg, out_channels)[1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """From an image (N, in_channels, H, W) two maps at 1/8 of its size.

        Returns:
            The high-resolution branch after the first exchange, for the auxiliary head, (N, 2 * channels, h, w), and
            the sum of both branches, (N, 4 * channels, h, w).
        """
        x = self.stem(x)
        context, spatial = self.context_branch_layers[0](x), self.spatial_branch_layers[0](x)
        exchanged = []
        for i, (compress, down) in enumerate(
            ((self.compression_1, self.down_1), (self.compression_2, self.down_2)), start=1
        ):
            compressed = compress(self.relu(context))
            context = context + down(self.relu(spatial))
            spatial = spatial + self._enlarged(compressed, spatial)
            exchanged.append(spatial)
            context = self.context_branch_layers[i](self.relu(context))
            spatial = self.spatial_branch_layers[i](self.relu(spatial))
        return exchanged[0], spatial + self._enlarged(self.spp(context), spatial)
