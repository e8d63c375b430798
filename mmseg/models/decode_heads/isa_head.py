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
        n, _, height, width = x.shape
        block_h, block_w = self.down_factor
        # the numbers of blocks, without a branch on sizes that an export leaves open
        rows, columns = (height + block_h - 1) // block_h, (width + block_w - 1) // block_w
        top, left = (rows * block_h - height) // 2, (columns * block_w - width) // 2
        x = self._padded(x, rows, columns, top, left)

        # one map per position in the blocks, with a pixel of every block
        x = x.unflatten(3, (-1, block_w)).unflatten(2, (-1, block_h)).permute(0, 3, 5, 1, 2, 4)
        x = self.global_relation(x.flatten(0, 2))
        # one map per block
        x = x.unflatten(0, (n, block_h, block_w)).permute(0, 4, 5, 3, 1, 2)
        x = self.local_relation(x.flatten(0, 2))
        x = x.unflatten(0, (n, rows, columns)).permute(0, 3, 1, 4, 2, 5)
        x = x.flatten(4, 5).flatten(2, 3)
        if not torch.compiler.is_compiling():
            return x[:, :, top : top + height, left : left + width]
        x = x.index_select(2, torch.arange(height, device=x.device) + top)
        return x.index_select(3, torch.arange(width, device=x.device) + left)

    def _padded(self, x: Tensor, rows: int, columns: int, top: int, left: int) -> Tensor:
        """The map with zeros around it: ``top`` and ``left`` lines before, and up to whole blocks after."""
        height, width = x.shape[2:]
        block_h, block_w = self.down_factor
        if not torch.compiler.is_compiling():
            below, right = rows * block_h - height - top, columns * block_w - width - left
            return F.pad(x, [left, right, top, below])
        # of an export with open sides: the most that can be needed, then a selection
        x = F.pad(x, [block_w - 1, block_w - 1, block_h - 1, block_h - 1])
        x = x.index_select(2, torch.arange(rows * block_h, device=x.device) + (block_h - 1 - top))
        return x.index_select(3, torch.arange(columns * block_w, device=x.device) + (block_w - 1 - left))
