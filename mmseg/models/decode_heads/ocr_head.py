"""OCRNet. Yuan et al., Object-Contextual Representations for Semantic Segmentation, ECCV 2020, section 3.2."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.self_attention_block import SelfAttentionBlock
from ..utils.wrappers import resize
from .cascade_decode_head import BaseCascadeDecodeHead


class SpatialGatherModule(nn.Module):
    """One descriptor per class: the mean feature weighted by how much each position belongs to it (eq. 2).

    Args:
        scale: factor of the logits before the softmax over positions.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, feats: Tensor, probs: Tensor) -> Tensor:
        """(N, C, K, 1) from features (N, C, H, W) and logits (N, K, H, W)."""
        weight = (self.scale * probs.flatten(2)).softmax(dim=2)
        return torch.bmm(feats.flatten(2), weight.transpose(1, 2)).unsqueeze(3)


class ObjectAttentionBlock(SelfAttentionBlock):
    """Positions attend to the classes' descriptors (eq. 3 and 4).

    Args:
        in_channels: of features, descriptors and output.
        channels: inside the attention.
        scale: max-pooling of the queries; 1 for none.
        conv_cfg, norm_cfg, act_cfg: of the convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        scale: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__(
            key_in_channels=in_channels,
            query_in_channels=in_channels,
            channels=channels,
            out_channels=in_channels,
            share_key_query=False,
            query_downsample=nn.MaxPool2d(scale) if scale > 1 else None,
            key_downsample=None,
            key_query_num_convs=2,
            key_query_norm=True,
            value_out_num_convs=1,
            value_out_norm=True,
            matmul_norm=True,
            with_out=True,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        self.bottleneck = ConvModule(
            in_channels * 2, in_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg
        )

    def forward(self, query_feats: Tensor, key_feats: Tensor) -> Tensor:
        """(N, in_channels, H, W) from features (N, in_channels, H, W) and descriptors (N, in_channels, K, 1)."""
        context = super().forward(query_feats, key_feats)
        return self.bottleneck(torch.cat([context, query_feats], dim=1))


@MODELS.register_module()
class OCRHead(BaseCascadeDecodeHead):
    """Refine the previous head's logits with object context.

    Args:
        ocr_channels: inside the attention.
        scale: of the gathering and of the attention's queries.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, ocr_channels: int, scale: int = 1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.ocr_channels = ocr_channels
        self.scale = scale
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.object_context_block = ObjectAttentionBlock(self.channels, ocr_channels, scale, **common)
        self.spatial_gather_module = SpatialGatherModule(scale)
        self.bottleneck = ConvModule(self.in_channels, self.channels, 3, padding=1, **common)

    def forward(self, inputs: Sequence[Tensor], prev_output: Tensor) -> Tensor:
        feats = self.bottleneck(self._transform_inputs(inputs))
        prev_output = resize(
            prev_output, size=feats.shape[2:], mode='bilinear', align_corners=self.align_corners
        )
        context = self.spatial_gather_module(feats, prev_output)
        return self.cls_seg(self.object_context_block(feats, context))
