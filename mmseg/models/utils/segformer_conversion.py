"""Conversion of Hugging Face's SegFormer to MixVisionTransformer and SegformerHead.

Hugging Face's decoder is that of the paper, with projections that have neither norm nor activation:
``decode_head=dict(type='SegformerHead', linear_projection=True, …)``.
"""

import re

import torch
from torch import Tensor

from .weight_conversion import StateDict

#: Names within a layer, in files (and transformers 4) and in models of transformers 5, and here.
_LAYER = {
    'layer_norm_1': 'norm1',
    'layernorm_before': 'norm1',
    'layer_norm_2': 'norm2',
    'layernorm_after': 'norm2',
    'attention.output.dense': 'attn.attn.out_proj',
    'attention.o_proj': 'attn.attn.out_proj',
    'attention.self.sr': 'attn.sr',
    'attention.sequence_reduction.sequence_reduction': 'attn.sr',
    'attention.self.layer_norm': 'attn.norm',
    'attention.sequence_reduction.layer_norm': 'attn.norm',
    'mlp.dense1': 'ffn.layers.0',
    'mlp.fc1': 'ffn.layers.0',
    'mlp.dwconv.dwconv': 'ffn.layers.1',
    'mlp.dense2': 'ffn.layers.4',
    'mlp.fc2': 'ffn.layers.4',
}
#: Linear layers there that are 1 x 1 convolutions here.
_CONVOLUTIONS = ('ffn.layers.0', 'ffn.layers.4')
#: Query, key and value, in this order one tensor here.
_ATTENTION = re.compile(r'attention\.(?:self\.)?(query|key|value|q_proj|k_proj|v_proj)')
_PARTS = {'query': 0, 'q_proj': 0, 'key': 1, 'k_proj': 1, 'value': 2, 'v_proj': 2}
#: Stage, layer, name in it, and weight or bias.
_IN_LAYER = re.compile(r'(?:encoder\.block\.(\d+)\.|stages\.(\d+)\.blocks\.)(\d+)\.(.+)\.(weight|bias)')
_IN_STAGE = re.compile(
    r'(?:encoder\.(?P<old>patch_embeddings|layer_norm)\.(?P<a>\d+)|stages\.(?P<b>\d+)\.(?P<new>patch_embeddings|layer_norm))'
    r'(?:\.(?P<part>proj|layer_norm))?\.(?P<leaf>weight|bias)'
)
_STAGE = {
    ('patch_embeddings', 'proj'): '0.projection',
    ('patch_embeddings', 'layer_norm'): '0.norm',
    ('layer_norm', None): '2',
}
_HEAD = {
    'decode_head.linear_fuse': 'decode_head.fusion_conv.conv',
    'decode_head.batch_norm': 'decode_head.fusion_conv.bn',
    'decode_head.classifier': 'decode_head.conv_seg',
}
_PROJECTION = re.compile(r'decode_head\.(?:linear_c|linear_projections)\.(\d+)\.proj\.(weight|bias)')


def convert_segformer(state: StateDict, source: str = 'checkpoint') -> StateDict:
    """Rename the tensors of Hugging Face's SegFormer for ``EncoderDecoder``.

    A classifier of images is left out; without a decoder, the result has the backbone alone.

    Args:
        state: of ``SegformerForSemanticSegmentation``, ``SegformerForImageClassification`` or ``SegformerModel``.
        source: where it comes from, for messages.

    Raises:
        ValueError: another layout.
    """
    converted: StateDict = {}
    attention: dict[str, list[Tensor | None]] = {}
    for key, value in state.items():
        name = key.removeprefix('segformer.')
        if match := _IN_LAYER.fullmatch(name):
            stage, layer, rest, leaf = match[1] or match[2], match[3], match[4], match[5]
            target = f'backbone.layers.{stage}.1.{layer}'
            if part := _ATTENTION.fullmatch(rest):
                parts = attention.setdefault(f'{target}.attn.attn.in_proj_{leaf}', [None] * 3)
                parts[_PARTS[part[1]]] = value
            elif rest in _LAYER:
                within = _LAYER[rest]
                converted[f'{target}.{within}.{leaf}'] = (
                    _as_convolution(value) if within in _CONVOLUTIONS else value
                )
            else:
                raise _layout_error(source, key)
        elif match := _IN_STAGE.fullmatch(name):
            within = _STAGE.get((match['old'] or match['new'], match['part']))
            if within is None:
                raise _layout_error(source, key)
            converted[f'backbone.layers.{match["a"] or match["b"]}.{within}.{match["leaf"]}'] = value
        elif not key.startswith('classifier.'):
            converted.update(_of_head(key, value, state, source))
    for target, parts in attention.items():
        if any(part is None for part in parts):
            raise _layout_error(source, target)
        converted[target] = torch.cat(parts)
    if not attention:
        raise _layout_error(source, next(iter(state), 'nothing'))
    return converted


def _of_head(key: str, value: Tensor, state: StateDict, source: str) -> StateDict:
    """A tensor of the decoder, by its name here."""
    if match := _PROJECTION.fullmatch(key):
        value = _as_convolution(value) if match[2] == 'weight' else value
        return {f'decode_head.convs.{match[1]}.conv.{match[2]}': value}
    module, _, leaf = key.rpartition('.')
    if module not in _HEAD:
        raise _layout_error(source, key)
    if module == 'decode_head.linear_fuse':  # it concatenates the levels from deep to shallow
        levels = sum(bool(_PROJECTION.fullmatch(other)) for other in state) // 2
        value = value.unflatten(1, (levels, -1)).flip(1).flatten(1, 2)
    return {f'{_HEAD[module]}.{leaf}': value}


def _as_convolution(value: Tensor) -> Tensor:
    """The weight of a linear layer as that of a 1 x 1 convolution; a bias stays."""
    return value[..., None, None] if value.ndim == 2 else value


def _layout_error(source: str, key: str) -> ValueError:
    return ValueError(
        f"{source}: not the layout of Hugging Face's SegFormer (segformer.encoder.patch_embeddings.0.proj.weight, "
        f'segformer.encoder.block.0.0.attention.self.query.weight, …): {key}'
    )
