"""timm's ViT and DeiT to VisionTransformer: ``python tools/model_converters/vit2mmseg.py SRC DST``.

The classifier is left out. Position embeddings keep their size; loading interpolates them.
"""

from _conversion import refuse, run, strip_backbone
from torch import Tensor

_RENAMED = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'attn.qkv.weight': 'attn.attn.in_proj_weight',
    'attn.qkv.bias': 'attn.attn.in_proj_bias',
    'attn.proj': 'attn.attn.out_proj',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
_OUTSIDE = {'norm': 'ln1', 'patch_embed.proj': 'patch_embed.projection'}
# Distilled DeiT has a second token, which VisionTransformer does not
_REFUSED = ('dist_token',)


def rename(key: str, inside: dict[str, str]) -> str | None:
    """A key of timm's layout in ours; ``inside`` renames within a block. None for what a backbone lacks."""
    if key.startswith('blocks.'):
        _, number, rest = key.split('.', 2)
        for old, new in inside.items():
            if rest == old or rest.startswith(f'{old}.'):
                return f'layers.{number}.{new}{rest[len(old) :]}'
        return f'layers.{number}.{rest}'
    if key.split('.')[0] in ('head', 'head_dist', 'pre_logits', 'fc_norm'):
        return None
    for old, new in _OUTSIDE.items():
        if key.startswith(f'{old}.'):
            return new + key[len(old) :]
    return key


def convert(state: dict[str, Tensor], source: str = 'checkpoint') -> dict[str, Tensor]:
    """Rename timm's tensors.

    Raises:
        ValueError: another layout, ``source`` says where, or a distilled DeiT.
    """
    vit = strip_backbone(state, 'blocks.0.attn.qkv.weight')
    if not {'cls_token', 'pos_embed', 'patch_embed.proj.weight'} <= set(vit):
        raise refuse(source, "timm's ViT or DeiT (cls_token, pos_embed, blocks.0.attn.qkv.weight, …)", state)
    if any(key in vit for key in _REFUSED):
        raise ValueError(
            f'{source}: a distilled DeiT, whose second token VisionTransformer has not; take the plain one'
        )
    renamed = {rename(key, _RENAMED): value for key, value in vit.items()}
    renamed.pop(None, None)
    return renamed


if __name__ == '__main__':
    run(convert, __doc__.splitlines()[0], None)
