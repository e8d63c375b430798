"""A pyramid from a plain transformer's features by interpolation."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import xavier_init
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize


@MODELS.register_module()
class MultiLevelNeck(nn.Module):
    """Project each input, resize it by its scale, and smooth it.

    Args:
        in_channels: of the inputs.
        out_channels: of every output.
        scales: factor of each output; a single input is used for all of them.
        norm_cfg, act_cfg: of the convolutions.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        scales: Sequence[float] = (0.5, 1, 2, 4),
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
    ) -> None:
        super().__init__()
        if len(in_channels) not in (1, len(scales)):
            raise ValueError(
                f'MultiLevelNeck: in_channels has one entry, or one per scale, got {list(in_channels)} for '
                f'scales {list(scales)}'
            )
        self.in_channels = tuple(in_channels)
        self.scales = tuple(scales)
        common = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.lateral_convs = nn.ModuleList(
            ConvModule(width, out_channels, 1, **common) for width in in_channels
        )
        self.convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, **common) for _ in scales
        )

    def init_weights(self) -> None:
        """Xavier for every convolution."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                xavier_init(module, distribution='uniform')

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One output (N, out_channels, scale * H, scale * W) per scale."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'MultiLevelNeck: built for {len(self.in_channels)} inputs, got {len(inputs)}')
        feats = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        if len(feats) == 1:
            feats = feats * len(self.scales)
        return tuple(
            conv(resize(x, scale_factor=scale, mode='bilinear'))
            for conv, x, scale in zip(self.convs, feats, self.scales)
        )
