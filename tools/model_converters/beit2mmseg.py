"""BEiT's released weights to BEiT here: ``python tools/model_converters/beit2mmseg.py SRC DST``.

The classifier is left out. Relative-position tables keep their size; loading interpolates them. A table shared by
all blocks, as after pre-training alone, is copied to each.
"""

from _conversion import refuse, run, strip_backbone
from torch import Tensor
from vit2mmseg import rename

_RENAMED = {'norm1': 'ln1', 'norm2': 'ln2', 'mlp.fc1': 'ffn.layers.0.0', 'mlp.fc2': 'ffn.layers.1'}
_SHARED = 'rel_pos_bias.relative_position_bias_table'
_TABLE = 'attn.relative_position_bias_table'


def convert(state: dict[str, Tensor], source: str = 'checkpoint') -> dict[str, Tensor]:
    """Rename BEiT's tensors.

    Raises:
        ValueError: another layout; ``source`` says where.
    """
    beit = strip_backbone(state, 'blocks.0.attn.qkv.weight')
    tables = _SHARED in beit or f'blocks.0.{_TABLE}' in beit
    if not tables or not {'cls_token', 'patch_embed.proj.weight', 'blocks.0.gamma_1'} <= set(beit):
        raise refuse(source, 'BEiT (cls_token, blocks.0.gamma_1, relative position tables, …)', state)
    if 'pos_embed' in beit:
        raise ValueError(f'{source}: has pos_embed, absolute positions, which BEiT here has not')
    shared = beit.pop(_SHARED, None)
    if shared is not None:
        blocks = {key.split('.')[1] for key in beit if key.startswith('blocks.')}
        beit |= {f'blocks.{number}.{_TABLE}': shared.clone() for number in sorted(blocks, key=int)}
    renamed = {}
    for key, value in beit.items():
        if (
            not key.endswith('relative_position_index')
            and key != 'mask_token'
            and not key.startswith('lm_head')
        ):
            renamed[rename(key, _RENAMED)] = value
    renamed.pop(None, None)
    return renamed


if __name__ == '__main__':
    run(convert, __doc__.splitlines()[0], None)
