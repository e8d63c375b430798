"""Common parts of ViT and BEiT."""

import warnings
from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .embed import PatchEmbed
from .pretrained import BaseBackbone

with warnings.catch_warnings():
    # mmcv-lite warns that it lacks deformable attention, which is not used here
    warnings.simplefilter('ignore', UserWarning)
    from mmcv.cnn.bricks.transformer import FFN

__all__ = ['FFN', 'PatchEmbed', 'PlainTransformer', 'as_pair', 'tokens_to_map']


def as_pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    """(height, width) from an integer or a sequence of one or two.

    Raises:
        ValueError: anything else; names the model ``name``.
    """
    if isinstance(size, int):
        return size, size
    size = tuple(size)
    if len(size) not in (1, 2):
        raise ValueError(f'{name}: img_size is an integer or (height, width), got {size}')
    return (size * 2)[:2]


def tokens_to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, H * W, C) to (N, C, H, W)."""
    n, _, channels = tokens.shape
    return tokens.reshape(n, *size, channels).permute(0, 3, 1, 2).contiguous()


class PlainTransformer(BaseBackbone):
    """Patch embedding, a class token and a stack of layers whose outputs become feature maps.

    A subclass creates ``patch_embed``, ``cls_token`` and ``layers``, calls :meth:`_set_out_indices` and
    :meth:`_add_final_norm` in its constructor, and returns the maps of the layers in ``out_indices`` from its
    ``forward``.
    """

    out_indices: tuple[int, ...]
    norm_eval: bool

    def _set_out_indices(self, out_indices: int | Sequence[int], num_layers: int) -> None:
        name = type(self).__name__
        if isinstance(out_indices, int):
            out_indices = [num_layers - 1 if out_indices == -1 else out_indices]
        beyond = [i for i in out_indices if i >= num_layers]
        if min(out_indices, default=-1) < 0 or len(beyond) == len(out_indices):
            raise ValueError(
                f'{name}: out_indices are -1 or among 0 to {num_layers - 1}, got {list(out_indices)}'
            )
        if beyond:
            warnings.warn(
                f'{name}: out_indices {beyond} are past the last layer, {num_layers - 1}; they have no output',
                stacklevel=3,
            )
        self.out_indices = tuple(out_indices)

    def _add_final_norm(self, final_norm: bool, norm_cfg: dict, embed_dims: int) -> None:
        self.final_norm = final_norm
        if final_norm:
            self.norm1_name, norm = build_norm_layer(norm_cfg, embed_dims, postfix=1)
            self.add_module(self.norm1_name, norm)

    @property
    def norm1(self) -> nn.Module:
        """The norm after the last layer, with ``final_norm=True``."""
        return getattr(self, self.norm1_name)

    def _init_from_scratch(self) -> None:
        """The initialisation of Dosovitskiy et al. (published code): truncated normal, std 0.02."""
        for token in ('cls_token', 'pos_embed'):
            if getattr(self, token, None) is not None:
                trunc_normal_(getattr(self, token), std=0.02)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None and 'ffn' in name:
                    nn.init.normal_(module.bias, mean=0.0, std=1e-6)
                elif module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_in', nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, (_BatchNorm, nn.GroupNorm, nn.LayerNorm)):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; without one, as for training from scratch."""
        if self.init_cfg is None:
            self._init_from_scratch()
            self._is_init = True
        else:
            super().init_weights()

    def _with_cls_token(self, patches: Tensor) -> Tensor:
        return torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
