"""What DDRNet and PIDNet have in common: the stem before their branches, and how stages and maps are made."""

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ..utils.basic_block import BasicBlock, Bottleneck, make_blocks
from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.wrappers import resize


class BranchedBackbone(BaseBackbone):
    """A stem to 1/8 of the image's size, before branches of different sizes. A subclass has ``_shortcut``.

    Args:
        in_channels: of the image.
        channels: of the first convolutions; the stem's output has twice as many.
        stem_blocks: blocks of each of the stem's two stages.
        align_corners: of the resizes.
        norm_cfg, act_cfg: as everywhere in mmcv.
        pretrained, init_cfg: as of :class:`BaseBackbone`.
    """

    default_init = KAIMING_INIT

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stem_blocks: int,
        align_corners: bool,
        norm_cfg: dict | None,
        act_cfg: dict | None,
        pretrained: str | None,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        self.align_corners = align_corners
        self.norm_cfg, self.act_cfg = norm_cfg, act_cfg
        shrink = dict(kernel_size=3, stride=2, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.stem = nn.Sequential(
            ConvModule(in_channels, channels, **shrink),
            ConvModule(channels, channels, **shrink),
            self._stage(BasicBlock, channels, channels, stem_blocks),
            nn.ReLU(),
            self._stage(BasicBlock, channels, channels * 2, stem_blocks, stride=2),
            nn.ReLU(),
        )
        self.relu = nn.ReLU()

    def _shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        raise NotImplementedError

    def _blocks(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        in_channels: int,
        channels: int,
        count: int,
        stride: int = 1,
    ) -> list[nn.Module]:
        return make_blocks(
            block, in_channels, channels, count, stride, self._shortcut, self.norm_cfg, self.act_cfg
        )

    def _stage(self, *args, **kwargs) -> nn.Sequential:
        return nn.Sequential(*self._blocks(*args, **kwargs))

    def _enlarged(self, x: Tensor, like: Tensor) -> Tensor:
        return resize(x, like.shape[2:], mode='bilinear', align_corners=self.align_corners)
