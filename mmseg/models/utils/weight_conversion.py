"""Conversion of released ViT, DeiT and BEiT weights to the names of the backbones here.

A classifier is left out. Position embeddings and relative position tables keep their size; loading interpolates them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmseg.utils.files import atomic_path

from .pretrained import read_state_dict

StateDict = dict[str, Tensor]

_BEIT_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
_VIT_BLOCK = {
    **_BEIT_BLOCK,
    'attn.qkv.weight': 'attn.attn.in_proj_weight',
    'attn.qkv.bias': 'attn.attn.in_proj_bias',
    'attn.proj': 'attn.attn.out_proj',
}
_OUTSIDE_BLOCKS = {'norm': 'ln1', 'patch_embed.proj': 'patch_embed.projection'}
_CLASSIFIER = ('head', 'head_dist', 'pre_logits', 'fc_norm')
# the second token of a distilled DeiT, which VisionTransformer does not have
_DISTILLED = 'dist_token'

_SHARED_TABLE = 'rel_pos_bias.relative_position_bias_table'
_BLOCK_TABLE = 'attn.relative_position_bias_table'


def convert_vit(state: StateDict, source: str = 'checkpoint') -> StateDict:
    """Rename the tensors of timm's ViT or DeiT for VisionTransformer.

    Args:
        state: the released weights.
        source: where they come from, for messages.

    Raises:
        ValueError: another layout, or a distilled DeiT.
    """
    vit = _strip_backbone(state, 'blocks.0.attn.qkv.weight')
    if not {'cls_token', 'pos_embed', 'patch_embed.proj.weight'} <= set(vit):
        raise _layout_error(
            source, "timm's ViT or DeiT (cls_token, pos_embed, blocks.0.attn.qkv.weight, …)", state
        )
    if _DISTILLED in vit:
        raise ValueError(
            f'{source}: a distilled DeiT, which has a second token that VisionTransformer lacks; take the plain one'
        )
    renamed = {_rename(key, _VIT_BLOCK): value for key, value in vit.items()}
    renamed.pop(None, None)
    return renamed


def convert_beit(state: StateDict, source: str = 'checkpoint') -> StateDict:
    """Rename the tensors of BEiT's released weights for BEiT.

    A relative position table that all blocks share, as after pre-training alone, is copied to each.

    Args:
        state: the released weights.
        source: where they come from, for messages.

    Raises:
        ValueError: another layout.
    """
    beit = _strip_backbone(state, 'blocks.0.attn.qkv.weight')
    has_tables = _SHARED_TABLE in beit or f'blocks.0.{_BLOCK_TABLE}' in beit
    if not has_tables or not {'cls_token', 'patch_embed.proj.weight', 'blocks.0.gamma_1'} <= set(beit):
        raise _layout_error(source, 'BEiT (cls_token, blocks.0.gamma_1, relative position tables, …)', state)
    if 'pos_embed' in beit:
        raise ValueError(f'{source}: has absolute positions (pos_embed), which BEiT lacks here')
    shared = beit.pop(_SHARED_TABLE, None)
    if shared is not None:
        blocks = {key.split('.')[1] for key in beit if key.startswith('blocks.')}
        beit |= {f'blocks.{number}.{_BLOCK_TABLE}': shared.clone() for number in sorted(blocks, key=int)}
    unused = ('mask_token', 'lm_head')
    renamed = {
        _rename(key, _BEIT_BLOCK): value
        for key, value in beit.items()
        if not key.startswith(unused) and not key.endswith('relative_position_index')
    }
    renamed.pop(None, None)
    return renamed


def _strip_backbone(state: StateDict, known: str) -> StateDict:
    """``state`` without the prefix of its backbone, which the key ``known`` identifies; empty if there is none."""
    for prefix in ('', 'backbone.', 'encoder.'):
        if prefix + known in state:
            return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return {}


def _rename(key: str, block_names: dict[str, str]) -> str | None:
    """A key of the released layout in ours, ``block_names`` within a block; None: backbones here lack it."""
    if key.startswith('blocks.'):
        _, number, rest = key.split('.', 2)
        for old, new in block_names.items():
            if rest == old or rest.startswith(f'{old}.'):
                return f'layers.{number}.{new}{rest[len(old) :]}'
        return f'layers.{number}.{rest}'
    if key.split('.')[0] in _CLASSIFIER:
        return None
    for old, new in _OUTSIDE_BLOCKS.items():
        if key.startswith(f'{old}.'):
            return new + key[len(old) :]
    return key


def _layout_error(source: str, expected: str, state: StateDict) -> ValueError:
    return ValueError(f'{source}: not the layout of {expected}; its keys begin with {list(state)[:5]}')


def save(state: StateDict, path: str | Path) -> None:
    """Write a checkpoint atomically."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def main(
    convert: Callable[[StateDict, str], StateDict], description: str, argv: Sequence[str] | None = None
) -> int:
    """The command line ``SRC DST`` around a conversion; returns the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', help='released checkpoint: a file or https://…')
    parser.add_argument('dst', help='file for the converted checkpoint')
    args = parser.parse_args(argv)
    try:
        state = read_state_dict(args.src)
        converted = convert(state, args.src)
        save(converted, args.dst)
    except (ValueError, FileNotFoundError) as error:
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 1
    print(f'{args.dst}: {len(converted)} tensors of {len(state)} in {args.src}')
    return 0
