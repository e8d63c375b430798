"""ANN. Zhu et al., Asymmetric Non-local Neural Networks for Semantic Segmentation, ICCV 2019, figures 3 and 4."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pooling import AdaptiveAvgPool2d
from ..utils.self_attention_block import SelfAttentionBlock as _SelfAttentionBlock
from .decode_head import BaseDecodeHead


class PPMConcat(nn.ModuleList):
    """Pyramid pooling to a few positions: (N, C, H, W) to (N, C, sum of squared scales)."""

    def __init__(self, pool_scales: Sequence[int] = (1, 3, 6, 8)) -> None:
        super().__init__(AdaptiveAvgPool2d(scale) for scale in pool_scales)

    def forward(self, feats: Tensor) -> Tensor:
        return torch.cat([pool(feats).flatten(2) for pool in self], dim=2)


class SelfAttentionBlock(_SelfAttentionBlock):
    """Attention with pooled keys and values, whose cost is linear in the number of positions.

    Args:
        low_in_channels: of the key map.
        high_in_channels: of the query map.
        channels: of keys, queries and values.
        out_channels: of the output.
        share_key_query: one projection for both.
        query_scale: max-pooling of the queries; 1 for none.
        key_pool_scales: grid sizes keys and values are pooled to.
        conv_cfg, norm_cfg, act_cfg: of the projections.
    """

    def __init__(
        self,
        low_in_channels: int,
        high_in_channels: int,
        channels: int,
        out_channels: int,
        share_key_query: bool,
        query_scale: int,
        key_pool_scales: Sequence[int],
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__(
            key_in_channels=low_in_channels,
            query_in_channels=high_in_channels,
            channels=channels,
            out_channels=out_channels,
            share_key_query=share_key_query,
            query_downsample=nn.MaxPool2d(query_scale) if query_scale > 1 else None,
            key_downsample=PPMConcat(key_pool_scales),
            key_query_num_convs=1,
            key_query_norm=True,
            value_out_num_convs=1,
            value_out_norm=False,
            matmul_norm=True,
            with_out=True,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )


class AFNB(nn.Module):
    """Asymmetric fusion non-local block: high-level queries, low-level keys and values.

    Args:
        low_in_channels, high_in_channels: of the two inputs.
        channels: inside the attention.
        out_channels: of the output.
        query_scales: one attention each, see ``query_scale`` of :class:`SelfAttentionBlock`.
        key_pool_scales: grid sizes keys and values are pooled to.
        conv_cfg, norm_cfg, act_cfg: of the convolutions; the last has no activation.
    """

    def __init__(
        self,
        low_in_channels: int,
        high_in_channels: int,
        channels: int,
        out_channels: int,
        query_scales: Sequence[int],
        key_pool_scales: Sequence[int],
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            SelfAttentionBlock(
                low_in_channels=low_in_channels,
                high_in_channels=high_in_channels,
                channels=channels,
                out_channels=out_channels,
                share_key_query=False,
                query_scale=query_scale,
                key_pool_scales=key_pool_scales,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            for query_scale in query_scales
        )
        self.bottleneck = ConvModule(
            out_channels + high_in_channels,
            out_channels,
            1,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=None,
        )

    def forward(self, low_feats: Tensor, high_feats: Tensor) -> Tensor:
        """(N, out_channels, H, W) of the size of ``high_feats``."""
        context = sum(stage(high_feats, low_feats) for stage in self.stages)
        return self.bottleneck(torch.cat([context, high_feats], dim=1))


class APNB(nn.Module):
    """Asymmetric pyramid non-local block: one input for queries, keys and values.

    Args:
        in_channels: of the input.
        channels: inside the attention.
        out_channels: of the output.
        query_scales, key_pool_scales, conv_cfg, norm_cfg, act_cfg: as in :class:`AFNB`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        query_scales: Sequence[int],
        key_pool_scales: Sequence[int],
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            SelfAttentionBlock(
                low_in_channels=in_channels,
                high_in_channels=in_channels,
                channels=channels,
                out_channels=out_channels,
                share_key_query=True,
                query_scale=query_scale,
                key_pool_scales=key_pool_scales,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            for query_scale in query_scales
        )
        self.bottleneck = ConvModule(
            in_channels + out_channels, out_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg
        )

    def forward(self, feats: Tensor) -> Tensor:
        """(N, out_channels, H, W) from (N, in_channels, H, W)."""
        context = sum(stage(feats, feats) for stage in self.stages)
        return self.bottleneck(torch.cat([context, feats], dim=1))


@MODELS.register_module()
class ANNHead(BaseDecodeHead):
    """AFNB over two of the backbone's outputs, then APNB.

    Args:
        project_channels: inside the attentions.
        query_scales, key_pool_scales: see :class:`AFNB`.
        kwargs: of :class:`BaseDecodeHead`; ``in_channels`` and ``in_index`` name a low and a high output.
    """

    def __init__(
        self,
        project_channels: int,
        query_scales: Sequence[int] = (1,),
        key_pool_scales: Sequence[int] = (1, 3, 6, 8),
        **kwargs,
    ) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        if len(self.in_channels) != 2:
            raise ValueError(
                f'ANNHead works on two inputs, a low and a high one; got in_channels={self.in_channels}'
            )
        low, high = self.in_channels
        self.project_channels = project_channels
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        scales = dict(query_scales=query_scales, key_pool_scales=key_pool_scales)
        self.fusion = AFNB(low, high, project_channels, high, **scales, **common)
        self.bottleneck = ConvModule(high, self.channels, 3, padding=1, **common)
        self.context = APNB(self.channels, project_channels, self.channels, **scales, **common)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        low, high = self._transform_inputs(inputs)
        x = self.fusion(low, high)
        if self.dropout is not None:
            x = self.dropout(x)
        return self.cls_seg(self.context(self.bottleneck(x)))
