"""Vision Transformer. Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, section 3.1."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.utils.checkpoint as cp
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.transformer import FFN, PatchEmbed, PlainTransformer, as_pair, tokens_to_map
from ..utils.wrappers import resize


class SelfAttention(nn.Module):
    """``identity + dropout(attention(x))`` with the parameters of ``nn.MultiheadAttention``."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        attn_drop: float,
        proj_drop: float,
        drop_path: float,
        bias: bool,
        batch_first: bool = True,
        dropout_layer: dict | None = None,
        **kwargs,
    ) -> None:
        """``kwargs`` are of ``nn.MultiheadAttention``; ``dropout_layer`` replaces the one of ``drop_path``."""
        super().__init__()
        self.attn = nn.MultiheadAttention(
            embed_dims, num_heads, attn_drop, bias=bias, batch_first=batch_first, **kwargs
        )
        self.proj_drop = nn.Dropout(proj_drop)
        self.dropout_layer = build_dropout(dropout_layer or dict(type='DropPath', drop_prob=drop_path))

    def forward(self, x: Tensor, identity: Tensor) -> Tensor:
        out = self.attn(x, x, x, need_weights=False)[0]
        return identity + self.dropout_layer(self.proj_drop(out))


class TransformerEncoderLayer(BaseModule):
    """Pre-norm attention and feed-forward network.

    Args:
        embed_dims: channels of a token.
        num_heads: attention heads.
        feedforward_channels: hidden channels.
        drop_rate, attn_drop_rate, drop_path_rate: probabilities of dropout after layers, of attention
            weights, and of whole residual branches.
        num_fcs: linear layers of the feed-forward network.
        qkv_bias: whether query, key and value have a bias.
        act_cfg, norm_cfg: as everywhere in mmcv.
        batch_first: tokens are (N, L, C); False: (L, N, C).
        attn_cfg: further arguments of the attention, those of ``nn.MultiheadAttention`` and ``dropout_layer``; the
            arguments above win.
        ffn_cfg: further arguments of mmcv's ``FFN``; the arguments above win.
        with_cp: recompute activations in backward to save memory.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        qkv_bias: bool = True,
        act_cfg: dict = dict(type='GELU'),
        norm_cfg: dict = dict(type='LN'),
        batch_first: bool = True,
        attn_cfg: dict = dict(),
        ffn_cfg: dict = dict(),
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1_name, norm1 = build_norm_layer(norm_cfg, embed_dims, postfix=1)
        self.add_module(self.norm1_name, norm1)
        attention = dict(
            embed_dims=embed_dims,
            num_heads=num_heads,
            attn_drop=attn_drop_rate,
            proj_drop=drop_rate,
            drop_path=drop_path_rate,
            bias=qkv_bias,
            batch_first=batch_first,
        )
        self.attn = SelfAttention(**{**attn_cfg, **attention})
        self.norm2_name, norm2 = build_norm_layer(norm_cfg, embed_dims, postfix=2)
        self.add_module(self.norm2_name, norm2)
        network = dict(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            num_fcs=num_fcs,
            ffn_drop=drop_rate,
            dropout_layer=dict(type='DropPath', drop_prob=drop_path_rate),
            act_cfg=act_cfg,
        )
        self.ffn = FFN(**{**ffn_cfg, **network})

    def _body(self, x: Tensor) -> Tensor:
        x = self.attn(getattr(self, self.norm1_name)(x), identity=x)
        return self.ffn(getattr(self, self.norm2_name)(x), identity=x)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, L, C) to tokens of the same shape."""
        if self.with_cp and x.requires_grad:
            return cp.checkpoint(self._body, x, use_reentrant=False)
        return self._body(x)


@MODELS.register_module()
class VisionTransformer(PlainTransformer):
    """ViT and DeiT as a backbone: feature maps of stride ``patch_size`` from chosen layers.

    Images of another size than ``img_size`` are padded to whole patches, and the position embedding is
    interpolated to their grid.

    Args:
        img_size: (height, width); the position embedding has its patch grid.
        patch_size: side of a patch in pixels.
        patch_pad: ``'corner'`` or ``'same'``: where images are padded to whole patches.
        in_channels: of the image.
        embed_dims, num_layers, num_heads, mlp_ratio, num_fcs: of the encoder.
        out_origin: also return the tokens before the first layer.
        out_indices: which layers' outputs are returned; -1 is the last.
        qkv_bias: whether query, key and value have a bias.
        drop_rate, attn_drop_rate, drop_path_rate: dropout; the last grows linearly over the layers.
        with_cls_token: whether the class token takes part in the layers.
        output_cls_token: return (map, class token) pairs; needs ``with_cls_token``.
        norm_cfg, act_cfg: as everywhere in mmcv.
        patch_norm, patch_bias: norm and bias of the patch embedding.
        pre_norm, final_norm: norm before the first and after the last layer.
        interpolate_mode: how position embeddings are resized.
        norm_eval: leave LayerNorm in eval mode in training.
        with_cp: recompute activations in backward to save memory.
        frozen_exclude: parameters whose names contain one of these are trained and all others frozen;
            ``'all'`` freezes nothing.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        patch_pad: str = 'corner',
        in_channels: int = 3,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4,
        out_origin: bool = False,
        out_indices: int | Sequence[int] = -1,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        with_cls_token: bool = True,
        output_cls_token: bool = False,
        norm_cfg: dict = dict(type='LN'),
        act_cfg: dict = dict(type='GELU'),
        patch_norm: bool = False,
        patch_bias: bool = False,
        pre_norm: bool = False,
        final_norm: bool = False,
        interpolate_mode: str = 'bicubic',
        num_fcs: int = 2,
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_exclude: Sequence[str] = ('all',),
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        if output_cls_token and not with_cls_token:
            raise ValueError('VisionTransformer: output_cls_token=True needs with_cls_token=True')
        self.img_size = as_pair(img_size, 'VisionTransformer')
        self.patch_size = patch_size
        self.interpolate_mode = interpolate_mode
        self.norm_eval, self.with_cp = norm_eval, with_cp
        self.out_origin = out_origin
        self.with_cls_token = with_cls_token
        self.output_cls_token = output_cls_token
        self.frozen_exclude = tuple(frozen_exclude)
        patch = dict(padding=patch_pad, bias=patch_bias, norm_cfg=norm_cfg if patch_norm else None)
        self._add_embedding(in_channels, embed_dims, drop_rate, **patch)
        self._set_out_indices(out_indices, num_layers)
        self.pre_norm = pre_norm
        if pre_norm:
            self.pre_ln_name, norm = build_norm_layer(norm_cfg, embed_dims, postfix='_pre')
            self.add_module(self.pre_ln_name, norm)
        common = dict(num_fcs=num_fcs, qkv_bias=qkv_bias, act_cfg=act_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
        width = int(mlp_ratio * embed_dims)
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(
                embed_dims, num_heads, width, drop_rate, attn_drop_rate, float(path_rate), **common
            )
            for path_rate in np.linspace(0, drop_path_rate, num_layers)
        )
        self._add_final_norm(final_norm, norm_cfg, embed_dims)
        self._freeze()

    def _add_embedding(self, in_channels: int, embed_dims: int, drop_rate: float, **kwargs) -> None:
        """Patch embedding (``kwargs`` are its), class token and position embedding."""
        self.patch_embed = PatchEmbed(
            in_channels=in_channels,
            embed_dims=embed_dims,
            conv_type='Conv2d',
            kernel_size=self.patch_size,
            stride=self.patch_size,
            **kwargs,
        )
        self.grid = (self.img_size[0] // self.patch_size, self.img_size[1] // self.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1] + 1, embed_dims))
        self.drop_after_pos = nn.Dropout(p=drop_rate)

    @property
    def pre_ln(self) -> nn.Module:
        """The norm before the first layer, with ``pre_norm=True``."""
        return getattr(self, self.pre_ln_name)

    def _freeze(self) -> None:
        if 'all' in self.frozen_exclude:
            return
        for name, parameter in self.named_parameters():
            if not any(part in name for part in self.frozen_exclude):
                parameter.requires_grad = False

    @staticmethod
    def resize_pos_embed(
        pos_embed: Tensor, input_shpae: tuple[int, int], pos_shape: tuple[int, int], mode: str
    ) -> Tensor:
        """Interpolate position embeddings (1, 1 + h * w, C) of a grid ``pos_shape`` to ``input_shpae``.

        The class token's embedding stays. The argument's name is upstream's.
        """
        if pos_embed.ndim != 3:
            raise ValueError(f'pos_embed has shape (1, L, C), got {tuple(pos_embed.shape)}')
        height, width = pos_shape
        grid = tokens_to_map(pos_embed[:, -height * width :], (height, width))
        grid = resize(grid, size=input_shpae, mode=mode, align_corners=False)
        return torch.cat([pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def convert_pretrained(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Interpolate a checkpoint's square position embedding to this model's grid."""
        pos_embed = state.get('pos_embed')
        if pos_embed is not None and pos_embed.shape != self.pos_embed.shape:
            side = int((pos_embed.shape[1] - 1) ** 0.5)
            if side * side == pos_embed.shape[1] - 1:
                state['pos_embed'] = self.resize_pos_embed(
                    pos_embed, self.grid, (side, side), self.interpolate_mode
                )
        return state

    def _pos_embeding(self, patched_img: Tensor, hw_shape: tuple[int, int], pos_embed: Tensor) -> Tensor:
        # An export leaves the size open, so it can't be compared; interpolating to the same size changes nothing.
        if torch.compiler.is_compiling() or tuple(hw_shape) != self.grid:
            pos_embed = self.resize_pos_embed(pos_embed, hw_shape, self.grid, self.interpolate_mode)
        return self.drop_after_pos(patched_img + pos_embed)

    def _output(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor | list[Tensor]:
        feature = tokens_to_map(x[:, 1:] if self.with_cls_token else x, hw_shape)
        return [feature, x[:, 0]] if self.output_cls_token else feature

    def forward(self, inputs: Tensor) -> tuple[Tensor | list[Tensor], ...]:
        """Maps (N, embed_dims, ceil(H / patch_size), ceil(W / patch_size)) of an image (N, C, H, W)."""
        x, hw_shape = self.patch_embed(inputs)
        x = self._pos_embeding(self._with_cls_token(x), hw_shape, self.pos_embed)
        if not self.with_cls_token:
            x = x[:, 1:]
        if self.pre_norm:
            x = self.pre_ln(x)
        outputs = [self._output(x, hw_shape)] if self.out_origin else []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.final_norm and i == len(self.layers) - 1:
                x = self.norm1(x)
            if i in self.out_indices:
                outputs.append(self._output(x, hw_shape))
        return tuple(outputs)
