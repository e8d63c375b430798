"""BEiT. Bao et al., BEiT: BERT Pre-Training of Image Transformers, ICLR 2022."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.relative_position import relative_position_index, resize_relative_position_table
from ..utils.transformer import FFN, PatchEmbed, PlainTransformer, as_pair, tokens_to_map


class BEiTAttention(BaseModule):
    """Multi-head self-attention with a learnt bias per relative position of two patches.

    Args:
        embed_dims: channels of a token.
        num_heads: attention heads.
        window_size: (height, width) of the patch grid.
        bias: ``'qv_bias'`` for query and value only, True for all three, False for none.
        qk_scale: factor of the scores; ``head_dim ** -0.5`` if None.
        attn_drop_rate, proj_drop_rate: dropout of attention weights and output.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: tuple[int, int],
        bias: bool | str = 'qv_bias',
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims % num_heads:
            raise ValueError(f'BEiT: embed_dims ({embed_dims}) is a multiple of num_heads ({num_heads})')
        self.num_heads = num_heads
        self.scale = qk_scale or (embed_dims // num_heads) ** -0.5
        self.attn_drop_rate = attn_drop_rate
        self.qv_bias = bias == 'qv_bias'
        if self.qv_bias:
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        self.window_size = window_size
        height, width = window_size
        entries = (2 * height - 1) * (2 * width - 1) + 3
        self.relative_position_bias_table = nn.Parameter(torch.zeros(entries, num_heads))
        self.register_buffer('relative_position_index', relative_position_index(window_size))
        self.qkv = nn.Linear(embed_dims, embed_dims * 3, bias=bias is True)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop_rate)

    def init_weights(self) -> None:
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, L, C), the class token first, to tokens of the same shape."""
        n, length, channels = x.shape
        bias = self.qkv.bias
        if self.qv_bias:
            bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).reshape(n, length, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        position_bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        x = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=position_bias.to(query.dtype).unsqueeze(0),
            dropout_p=self.attn_drop_rate if self.training else 0.0,
            scale=self.scale,
        )
        # A copy: the attention kernel chooses the layout of ``x``, and the ONNX exporter may choose another.
        x = x.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        return self.proj_drop(self.proj(x.view(n, length, channels)))


class BEiTTransformerEncoderLayer(BaseModule):
    """Pre-norm attention and feed-forward network, each scaled per channel (section A of the paper)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: tuple[int, int],
        bias: bool | str = 'qv_bias',
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        act_cfg: dict = dict(type='GELU'),
        norm_cfg: dict = dict(type='LN'),
        init_values: float = 0.1,
    ) -> None:
        super().__init__()
        self.norm1_name, norm1 = build_norm_layer(norm_cfg, embed_dims, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.attn = BEiTAttention(embed_dims, num_heads, window_size, bias, attn_drop_rate=attn_drop_rate)
        self.norm2_name, norm2 = build_norm_layer(norm_cfg, embed_dims, postfix=2)
        self.add_module(self.norm2_name, norm2)
        self.ffn = FFN(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            num_fcs=num_fcs,
            ffn_drop=0.0,
            dropout_layer=None,
            act_cfg=act_cfg,
            add_identity=False,
        )
        self.drop_path = build_dropout(dict(type='DropPath', drop_prob=drop_path_rate))
        self.gamma_1 = nn.Parameter(init_values * torch.ones(embed_dims))
        self.gamma_2 = nn.Parameter(init_values * torch.ones(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, L, C) to tokens of the same shape."""
        x = x + self.drop_path(self.gamma_1 * self.attn(getattr(self, self.norm1_name)(x)))
        return x + self.drop_path(self.gamma_2 * self.ffn(getattr(self, self.norm2_name)(x)))


@MODELS.register_module()
class BEiT(PlainTransformer):
    """BEiT as a backbone: feature maps of stride ``patch_size`` from chosen layers.

    The relative positions fix the image size: images have the patch grid of ``img_size``; pixels beyond the last
    whole patch are not used. For larger images use slide inference.

    Args:
        img_size: (height, width) of the images.
        patch_size: side of a patch in pixels.
        in_channels: of the image.
        embed_dims, num_layers, num_heads, mlp_ratio, num_fcs: of the encoder.
        out_indices: which layers' outputs are returned; -1 is the last.
        qv_bias: whether query and value have a bias.
        attn_drop_rate, drop_path_rate: dropout; the latter grows linearly over the layers.
        norm_cfg, act_cfg: as everywhere in mmcv.
        patch_norm: norm of the patch embedding.
        final_norm: norm after the last layer.
        norm_eval: leave LayerNorm in eval mode in training.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_values: start of the per-channel scales.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4,
        out_indices: int | Sequence[int] = -1,
        qv_bias: bool = True,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: dict = dict(type='LN'),
        act_cfg: dict = dict(type='GELU'),
        patch_norm: bool = False,
        final_norm: bool = False,
        num_fcs: int = 2,
        norm_eval: bool = False,
        pretrained: str | None = None,
        init_values: float = 0.1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        self.img_size = as_pair(img_size, 'BEiT')
        self.patch_size = patch_size
        self.window_size = (self.img_size[0] // patch_size, self.img_size[1] // patch_size)
        self.norm_eval = norm_eval
        self.patch_embed = PatchEmbed(
            in_channels=in_channels,
            embed_dims=embed_dims,
            conv_type='Conv2d',
            kernel_size=patch_size,
            stride=patch_size,
            padding=0,
            norm_cfg=norm_cfg if patch_norm else None,
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self._set_out_indices(out_indices, num_layers)
        self.layers = nn.ModuleList(
            BEiTTransformerEncoderLayer(
                embed_dims,
                num_heads,
                int(mlp_ratio * embed_dims),
                self.window_size,
                'qv_bias' if qv_bias else False,
                attn_drop_rate,
                float(path_rate),
                num_fcs,
                act_cfg,
                norm_cfg,
                init_values,
            )
            for path_rate in np.linspace(0, drop_path_rate, num_layers)
        )
        self._add_final_norm(final_norm, norm_cfg, embed_dims)

    def _init_from_scratch(self) -> None:
        super()._init_from_scratch()
        for layer in self.layers:
            layer.attn.init_weights()

    def convert_pretrained(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Interpolate a checkpoint's relative position tables to this model's window."""
        current = self.state_dict()
        # constants of the window, which a checkpoint may lack or have for another window
        state |= {key: value for key, value in current.items() if key.endswith('relative_position_index')}
        for key, table in state.items():
            if (
                key.endswith('relative_position_bias_table')
                and key in current
                and table.shape != current[key].shape
            ):
                state[key] = resize_relative_position_table(table, self.window_size)
        return state

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Maps (N, embed_dims, H / patch_size, W / patch_size) of an image of ``img_size``."""
        x, hw_shape = self.patch_embed(inputs)
        if tuple(hw_shape) != self.window_size:
            raise ValueError(
                f'BEiT: relative positions for images of {self.img_size}, got {tuple(inputs.shape[2:])}; set '
                "model.backbone.img_size to the crop size and model.test_cfg=dict(mode='slide', crop_size=…, "
                'stride=…) with the same crop size, images padded to at least that'
            )
        x = self._with_cls_token(x)
        outputs = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.final_norm and i == len(self.layers) - 1:
                x = self.norm1(x)
            if i in self.out_indices:
                outputs.append(tokens_to_map(x[:, 1:], hw_shape))
        return tuple(outputs)
