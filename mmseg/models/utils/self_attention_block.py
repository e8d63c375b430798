"""Attention between the positions of two feature maps, as used by several heads."""

from contextlib import nullcontext

import torch
from mmcv.cnn import ConvModule
from mmengine.model import constant_init
from torch import Tensor, nn
from torch.amp import is_autocast_available
from torch.nn.functional import scaled_dot_product_attention

from .wrappers import resize

#: Widest heads of the fused kernels for training on GPUs.
_FUSED_CHANNELS = 256


class SelfAttentionBlock(nn.Module):
    """Each position of the query map gathers values from the key map (Wang et al., Non-local Neural Networks).

    Args:
        key_in_channels, query_in_channels: channels of the two inputs.
        channels: of keys and queries, and of values if ``with_out``.
        out_channels: of the output.
        share_key_query: one projection for both; the inputs then have equal channels.
        query_downsample: module that shrinks the query map; the output is resized back.
        key_downsample: module that shrinks keys and values, to (N, C, h, w) or (N, C, positions).
        key_query_num_convs, value_out_num_convs: 1x1 convolutions in each projection.
        key_query_norm, value_out_norm: whether these have norm and activation.
        matmul_norm: divide similarities by the square root of ``channels``.
        with_out: project the output.
        conv_cfg, norm_cfg, act_cfg: of the projections.
    """

    def __init__(
        self,
        key_in_channels: int,
        query_in_channels: int,
        channels: int,
        out_channels: int,
        share_key_query: bool,
        query_downsample: nn.Module | None,
        key_downsample: nn.Module | None,
        key_query_num_convs: int,
        value_out_num_convs: int,
        key_query_norm: bool,
        value_out_norm: bool,
        matmul_norm: bool,
        with_out: bool,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        if share_key_query and key_in_channels != query_in_channels:
            raise ValueError(
                f'{type(self).__name__}: keys and queries share a projection but have {key_in_channels} and '
                f'{query_in_channels} input channels'
            )
        self.key_in_channels = key_in_channels
        self.query_in_channels = query_in_channels
        self.out_channels = out_channels
        self.channels = channels
        self.share_key_query = share_key_query
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.key_project = self.build_project(
            key_in_channels, channels, key_query_num_convs, key_query_norm, **common
        )
        if share_key_query:
            self.query_project = self.key_project
        else:
            self.query_project = self.build_project(
                query_in_channels, channels, key_query_num_convs, key_query_norm, **common
            )
        value_channels = channels if with_out else out_channels
        self.value_project = self.build_project(
            key_in_channels, value_channels, value_out_num_convs, value_out_norm, **common
        )
        self.out_project = None
        if with_out:
            self.out_project = self.build_project(
                channels, out_channels, value_out_num_convs, value_out_norm, **common
            )
        self.query_downsample = query_downsample
        self.key_downsample = key_downsample
        self.matmul_norm = matmul_norm
        self.init_weights()

    def init_weights(self) -> None:
        """Initialise the output projection to zero where it is a plain convolution."""
        if isinstance(self.out_project, nn.Conv2d):
            constant_init(self.out_project, 0)

    def build_project(
        self,
        in_channels: int,
        channels: int,
        num_convs: int,
        use_conv_module: bool,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> nn.Module:
        """``num_convs`` 1x1 convolutions; a single one as it is, several in an ``nn.Sequential``."""
        convs = []
        for i in range(num_convs):
            source = in_channels if i == 0 else channels
            if use_conv_module:
                convs.append(
                    ConvModule(source, channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
                )
            else:
                convs.append(nn.Conv2d(source, channels, 1))
        return convs[0] if len(convs) == 1 else nn.Sequential(*convs)

    def forward(self, query_feats: Tensor, key_feats: Tensor) -> Tensor:
        """(N, out_channels, H, W) from a query map (N, C, H, W) and a key map (N, C', H', W')."""
        query = self.query_project(query_feats)
        if self.query_downsample is not None:
            query = self.query_downsample(query)
        key, value = self.key_project(key_feats), self.value_project(key_feats)
        if self.key_downsample is not None:
            key, value = self.key_downsample(key), self.key_downsample(value)
        context = attend(query, key, value, scale=self.channels**-0.5 if self.matmul_norm else 1.0)
        if self.out_project is not None:
            context = self.out_project(context)
        if self.query_downsample is not None:
            context = resize(context, size=query_feats.shape[2:], mode='bilinear', align_corners=False)
        return context


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax attention over positions.

    Args:
        query: (N, C, H, W).
        key: (N, C, …), any number of position axes.
        value: (N, D, …), positions as in ``key``.
        scale: factor of the similarities.

    Returns:
        (N, D, H, W).
    """
    # (N, C, H, W) to (N, 1 head, positions, C)
    tokens = (x.flatten(2).transpose(1, 2).unsqueeze(1) for x in (query, key, value))
    context = attention(*tokens, scale=scale)
    return context.squeeze(1).transpose(1, 2).unflatten(2, query.shape[2:])


def attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """``scaled_dot_product_attention``, in training written out where its kernels for GPUs are slow.

    Those are made for values as wide as the queries and for at most 256 channels. Written out, similarities and softmax are
    in float32 under autocast, as inside the kernels.

    Args:
        query: (N, heads, positions, C).
        key: (N, heads, other positions, C).
        value: (N, heads, other positions, D).
        scale: factor of the similarities.

    Returns:
        (N, heads, positions, D).
    """
    fused = query.shape[-1] == value.shape[-1] <= _FUSED_CHANNELS
    if fused or not torch.is_grad_enabled():
        return scaled_dot_product_attention(query, key, value, scale=scale)
    device = query.device.type
    with torch.autocast(device, enabled=False) if is_autocast_available(device) else nullcontext():
        weights = ((query * scale).float() @ key.float().transpose(-2, -1)).softmax(dim=-1)
        return weights.to(value.dtype) @ value
