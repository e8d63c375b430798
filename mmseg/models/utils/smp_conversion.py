"""Conversion of segmentation_models_pytorch's U-Net and U-Net++ to TIMMBackbone with UnetHead or UnetPlusPlusHead."""

import re

from .weight_conversion import StateDict

_CLASSIFIER = 'segmentation_head.0.'
_BLOCK = re.compile(r'decoder\.blocks\.(?:x_0_)?(\d+)\.conv1\.0\.weight')
_DECODER = re.compile(r'decoder\.blocks\.\w+\.(conv1|conv2|attention1|attention2)\.')
#: A tensor of the encoders of its own whose names and feature maps timm shares: ResNet and ResNeXt.
_SHARED = 'layer1.0.conv1.weight'
_STAGE = re.compile(r'layer(\d)\.')


def convert_smp(state: StateDict, source: str = 'checkpoint') -> StateDict:
    """Rename the tensors of ``smp.Unet`` or ``smp.UnetPlusPlus`` for ``EncoderDecoder``.

    Args:
        state: its ``state_dict``, also of a Lightning module that holds it.
        source: where it comes from, for messages.

    Raises:
        ValueError: another decoder, or an encoder whose layout timm does not share.
    """
    prefix = next(
        (key.partition(_CLASSIFIER)[0] for key in state if f'.{key}'.find(f'.{_CLASSIFIER}') >= 0), None
    )
    expected = 'Unet or UnetPlusPlus of segmentation_models_pytorch (encoder.*, decoder.blocks.*, segmentation_head.0.*)'
    if prefix is None:
        raise ValueError(f'{source}: not the layout of {expected}; its keys begin with {list(state)[:5]}')
    state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    others = [key for key in state if key.startswith('decoder.') and not _DECODER.match(key)]
    depth = 1 + max((int(match[1]) for match in map(_BLOCK.fullmatch, state) if match), default=-1)
    if others or not depth:
        raise ValueError(f'{source}: not the decoder of {expected}; it has {(others or list(state))[:3]}')
    converted = _encoder(state, depth, source)
    for key, value in state.items():
        if key.startswith('decoder.'):
            converted[f'decode_head.{key.removeprefix("decoder.")}'] = value
        elif key.startswith(_CLASSIFIER):
            converted[f'decode_head.conv_seg.{key.removeprefix(_CLASSIFIER)}'] = value
    return converted


def _encoder(state: StateDict, depth: int, source: str) -> StateDict:
    """The encoder of a decoder with ``depth`` blocks."""
    encoder = {
        key.removeprefix('encoder.'): value for key, value in state.items() if key.startswith('encoder.')
    }
    from_timm = all(key.startswith('model.') for key in encoder)
    if not from_timm and _SHARED not in encoder:
        raise ValueError(
            f'{source}: an encoder in a layout of its own ({next(iter(encoder), None)}, …); expected one of timm (tu-*), '
            'resnet* or resnext*'
        )
    names = {}
    for key, value in encoder.items():
        stage = _STAGE.match(key)
        if not stage or int(stage[1]) < depth:  # deeper stages have no feature map
            names[f'backbone.timm_model.{key.removeprefix("model.")}'] = value
    return names
