"""ISANet. Huang et al., Interlaced Sparse Self-Attention for Semantic Segmentation, 2019."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor

from mmseg.registry import MODELS

from ..utils.self_attention_block import SelfAttentionBlock
from .decode_head import BaseDecodeHead


class InterlacedAttention(SelfAttentionBlock):
    """Self-attention of a map with itself, and a projection of the result.

    Args:
        in_channels: of the map and the output.
        channels: of keys and queries.
        conv_cfg, norm_cfg, act_cfg: of the projections.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(
            key_in_channels=in_channels,
            query_in_channels=in_channels,
            channels=channels,
            out_channels=in_channels,
            share_key_query=False,
            query_downsample=None,
            key_downsample=None,
            key_query_num_convs=2,
            key_query_norm=True,
            value_out_num_convs=1,
            value_out_norm=False,
            matmul_norm=True,
            with_out=False,
            **common,
        )
        self.output_project = self.build_project(in_channels, in_channels, 1, True, **common)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to the same shape."""
        return self.output_project(super().forward(x, x))


@MODELS.register_module()
class ISAHead(BaseDecodeHead):
    """Attention between distant positions, then within blocks: together each position reaches all others.

    Args:
        isa_channels: of keys and queries.
        down_factor: (height, width) of the blocks; the map is padded to whole ones.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, isa_channels: int, down_factor: tuple[int, int] = (8, 8), **kwargs) -> None:
        super().__init__(**kwargs)
        self.down_factor = tuple(down_factor)
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.in_conv = ConvModule(self.in_channels, self.channels, 3, padding=1, **common)
        self.global_relation = InterlacedAttention(self.channels, isa_channels, **common)
        self.local_relation = InterlacedAttention(self.channels, isa_channels, **common)
        self.out_conv = ConvModule(self.channels * 2, self.channels, 1, **common)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self.in_conv(self._transform_inputs(inputs))
        context = self._interlaced(x)
        return self.cls_seg(self.out_conv(torch.cat([context, x], dim=1)))

    def _interlaced(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        block_h, block_w = self.down_factor
        # the numbers of blocks, without a branch on sizes that an export leaves open
        rows, columns = (height + block_h - 1) // block_h, (width + block_w - 1) // block_w
        extra_h, extra_w = rows * block_h - height, columns * block_w - width
        top, left = extra_h // 2, extra_w // 2
        x = F.pad(x, [left, extra_w - left, top, extra_h - top])

        # one map per position in the blocks, with a pixel of every block
        x = x.view(n, channels, rows, block_h, columns, block_w).permute(0, 3, 5, 1, 2, 4)
        x = self.global_relation(x.reshape(n * block_h * block_w, channels, rows, columns))
        # one map per block
        x = x.view(n, block_h, block_w, channels, rows, columns).permute(0, 4, 5, 3, 1, 2)
        x = self.local_relation(x.reshape(n * rows * columns, channels, block_h, block_w))
        x = x.view(n, rows, columns, channels, block_h, block_w).permute(0, 3, 1, 4, 2, 5)
        x = x.reshape(n, channels, rows * block_h, columns * block_w)
        return x[:, :, top : top + height, left : left + width]
