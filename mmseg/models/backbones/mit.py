"""Mix Vision Transformer. Xie et al., SegFormer, NeurIPS 2021, section 3.1."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.utils.checkpoint as cp
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmengine.model import BaseModule
from mmengine.model.weight_init import constant_init, normal_init, trunc_normal_init
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.embed import PatchEmbed
from ..utils.pretrained import BaseBackbone
from ..utils.shape_convert import nchw_to_nlc, nlc_to_nchw


class MixFFN(nn.Module):
    """A feed-forward network with a depthwise 3 x 3 convolution, which tells the tokens their positions (eq. 3)."""

    def __init__(self, embed_dims: int, hidden: int, act_cfg: dict, drop: float, drop_path: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(embed_dims, hidden, 1),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            build_activation_layer(act_cfg),
            nn.Dropout(drop),
            nn.Conv2d(hidden, embed_dims, 1),
            nn.Dropout(drop),
        )
        self.dropout_layer = build_dropout(dict(type='DropPath', drop_prob=drop_path))

    def forward(self, x: Tensor, size: tuple[int, int], identity: Tensor) -> Tensor:
        """Tokens (N, H * W, C) of a map of ``size``, added to ``identity``."""
        out = nchw_to_nlc(self.layers(nlc_to_nchw(x, size)))
        return identity + self.dropout_layer(out)


class EfficientAttention(nn.Module):
    """Self-attention whose keys and values are a map reduced by ``sr_ratio`` (eq. 2)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float,
        proj_drop: float,
        drop_path: float,
        qkv_bias: bool,
        norm_cfg: dict,
        sr_ratio: int,
    ) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, attn_drop, bias=qkv_bias, batch_first=True)
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = build_dropout(dict(type='DropPath', drop_prob=drop_path))
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor, size: tuple[int, int], identity: Tensor) -> Tensor:
        """Tokens (N, H * W, C) of a map of ``size``, added to ``identity``."""
        keys = x
        if self.sr_ratio > 1:
            keys = self.norm(nchw_to_nlc(self.sr(nlc_to_nchw(x, size))))
        out = self.attn(x, keys, keys, need_weights=False)[0]
        return identity + self.dropout_layer(self.proj_drop(out))


class MixLayer(BaseModule):
    """Pre-norm attention and feed-forward network.

    Args:
        embed_dims: channels of a token.
        num_heads: attention heads.
        hidden: channels inside the feed-forward network.
        drop_rate, attn_drop_rate, drop_path_rate: dropout.
        qkv_bias: whether query, key and value have a bias.
        act_cfg, norm_cfg: as everywhere in mmcv.
        sr_ratio: of :class:`EfficientAttention`.
        with_cp: recompute activations in backward to save memory.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        hidden: int,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
        qkv_bias: bool,
        act_cfg: dict,
        norm_cfg: dict,
        sr_ratio: int,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        drops = attn_drop_rate, drop_rate, drop_path_rate
        self.attn = EfficientAttention(embed_dims, num_heads, *drops, qkv_bias, norm_cfg, sr_ratio)
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, hidden, act_cfg, drop_rate, drop_path_rate)

    def _body(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.attn(self.norm1(x), size, identity=x)
        return self.ffn(self.norm2(x), size, identity=x)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map tokens (N, H * W, C) of a map of ``size`` to tokens of the same shape."""
        if self.with_cp and x.requires_grad:
            return cp.checkpoint(self._body, x, size, use_reentrant=False)
        return self._body(x, size)


@MODELS.register_module()
class MixVisionTransformer(BaseBackbone):
    """The encoder of SegFormer: four stages of overlapping patches, with outputs at 1/4 to 1/32 of the image's size.

    Args:
        in_channels: of the image.
        embed_dims: channels per attention head; stage i has ``embed_dims * num_heads[i]`` channels.
        num_stages: number of stages; the lists have an entry for each.
        num_layers, num_heads: of each stage.
        patch_sizes, strides: of the patches of each stage.
        sr_ratios: by which keys and values of each stage are reduced.
        out_indices: stages whose outputs are returned.
        mlp_ratio: hidden channels of the feed-forward networks, as a multiple of the stage's.
        qkv_bias: whether query, key and value have a bias.
        drop_rate, attn_drop_rate, drop_path_rate: dropout; the last grows linearly over the layers.
        act_cfg, norm_cfg: as everywhere in mmcv.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation.
        with_cp: recompute activations in backward to save memory.

    Raises:
        ValueError: a list has too few entries, or an index is no stage.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 4, 8),
        patch_sizes: Sequence[int] = (7, 3, 3, 3),
        strides: Sequence[int] = (4, 2, 2, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: dict = dict(type='GELU'),
        norm_cfg: dict = dict(type='LN', eps=1e-6),
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        lists = dict(num_layers=num_layers, num_heads=num_heads, patch_sizes=patch_sizes, strides=strides)
        for name, values in dict(lists, sr_ratios=sr_ratios).items():
            if len(values) != num_stages:
                raise ValueError(
                    f'MixVisionTransformer: {name} has {len(values)} entries, expected num_stages={num_stages}'
                )
        if not set(out_indices) <= set(range(num_stages)):
            raise ValueError(
                f'MixVisionTransformer: out_indices are among 0 to {num_stages - 1}, got {list(out_indices)}'
            )
        self.out_indices = tuple(out_indices)
        path_rates = iter(np.linspace(0, drop_path_rate, sum(num_layers)).tolist())
        common = dict(qkv_bias=qkv_bias, act_cfg=act_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
        self.layers = nn.ModuleList()
        for count, heads, patch, stride, ratio in zip(*lists.values(), sr_ratios):
            width = embed_dims * heads
            embed = PatchEmbed(
                in_channels, width, kernel_size=patch, stride=stride, padding=patch // 2, norm_cfg=norm_cfg
            )
            drops = (drop_rate, attn_drop_rate)
            layers = [
                MixLayer(
                    width, heads, int(mlp_ratio * width), *drops, next(path_rates), sr_ratio=ratio, **common
                )
                for _ in range(count)
            ]
            norm = build_norm_layer(norm_cfg, width)[1]
            self.layers.append(nn.ModuleList([embed, nn.ModuleList(layers), norm]))
            in_channels = width

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; without one as the paper's code: truncated normal, and He for convolutions."""
        if self.init_cfg is not None:
            super().init_weights()
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02, bias=0.0)
            elif isinstance(module, nn.LayerNorm):
                constant_init(module, val=1.0, bias=0.0)
            elif isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                normal_init(module, mean=0, std=(2.0 * module.groups / fan_out) ** 0.5, bias=0)
        self._is_init = True

    def forward(self, x: Tensor) -> tuple[torch.Tensor, ...]:
        """Maps of the stages in ``out_indices`` of an image (N, in_channels, H, W)."""
        outputs = []
        for i, (embed, layers, norm) in enumerate(self.layers):
            x, size = embed(x)
            for layer in layers:
                x = layer(x, size)
            x = nlc_to_nchw(norm(x), size)
            if i in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
