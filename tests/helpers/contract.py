"""What every architecture promises, and the list of those that do.

To join: put ``configs/_base_/models/NAME.py`` there and add a line to ``ARCHITECTURES`` with the options that
make it small. ``test_model_contract.py`` does the rest.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from timm_import import INSTALLED, import_timm

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'models'


@dataclass(frozen=True)
class Architecture:
    """A base config and what shrinks it.

    Args:
        name: of the file below ``configs/_base_/models``.
        options: dotted keys below ``model``, as of ``--cfg-options``; a key ``a.*.b`` sets all entries of a list.
        size: (height, width) of a usual image.
        other_sizes: sizes that aren't multiples of the stride; empty where the architecture has one size.
        sides: smallest and largest image side that an export can leave open; None: it is for one size.
        bf16_tolerance: largest root mean square error of logits under bfloat16 autocast, in their standard deviations.
    """

    name: str
    options: dict = field(default_factory=dict)
    size: tuple[int, int] = (64, 96)
    other_sizes: tuple[tuple[int, int], ...] = ((97, 75),)
    bf16_tolerance: float = 0.05
    sides: tuple[int, int] | None = (33, 4096)

    def config(self) -> dict:
        """The ``model`` dict: small, three classes, BN for SyncBN, no pretrained weights."""
        model = Config.fromfile(CONFIGS / f'{self.name}.py').model.to_dict()
        model.pop('pretrained', None)
        if _is_of_timm(model):
            import_timm()
            model['backbone']['pretrained'] = False
        for key, value in self.options.items():
            assign(model, key.split('.'), value)
        return _for_tests(model)

    def build(self, training: bool = False) -> torch.nn.Module:
        """The model with fixed random weights, none of them zero."""
        torch.manual_seed(0)
        model = MODELS.build(self.config())
        with torch.no_grad():
            for parameter in model.parameters():
                # Gates such as DANet's are initialised to zero, which would hide the layers before them.
                if not parameter.any():
                    parameter.normal_(std=0.1)
        return model.train(training)


def _is_of_timm(model: dict) -> bool:
    return model['backbone']['type'].startswith('TIMM')


def assign(node: dict | list, path: list[str], value: object) -> None:
    """Set what a dotted key names; ``*`` stands for all entries of a list."""
    key, rest = path[0], path[1:]
    if key == '*':
        for child in node:
            assign(child, rest, value)
    elif not rest:
        node[int(key) if isinstance(node, list) else key] = value
    else:
        assign(node[int(key) if isinstance(node, list) else key], rest, value)


def _for_tests(node: object) -> object:
    if isinstance(node, dict):
        fixed = {key: _for_tests(value) for key, value in node.items()}
        if fixed.get('type') == 'SyncBN':
            fixed['type'] = 'BN'
        if 'num_classes' in fixed:
            fixed['num_classes'] = 3
        if str(fixed.get('init_cfg', {})).find('Pretrained') >= 0:
            fixed.pop('init_cfg')
        return fixed
    return type(node)(_for_tests(value) for value in node) if isinstance(node, (list, tuple)) else node


def image(n: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """A normalised batch (n, 3, height, width)."""
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(seed))


def samples(n: int, size: tuple[int, int]) -> list[SegDataSample]:
    """Labels of three classes and a few ignored pixels."""
    label = torch.randint(0, 3, (n, *size), generator=torch.Generator().manual_seed(1))
    label[:, :2] = 255
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    return [SegDataSample(gt_sem_seg=PixelData(data=one[None]), metainfo=meta) for one in label]


_TIMM_UNET = {
    'backbone.model_name': 'resnet18',
    'backbone.layers': (1, 1, 1, 1),
    'backbone.channels': (8, 8, 16, 16),
    'backbone.out_indices': (0, 1, 2),
    'decode_head.in_channels': [64, 8, 8],
    'decode_head.in_index': [0, 1, 2],
    'decode_head.decoder_channels': (16, 8, 8),
}
_TIMM_VIT = {
    'backbone.frozen': False,
    'backbone.embed_dim': 32,
    'backbone.depth': 4,
    'backbone.num_heads': 2,
    'backbone.img_size': 64,
    'backbone.out_indices': (0, 1, 2, 3),
    'decode_head.in_channels': [32] * 4,
}
_TIMM_LINEAR = {
    **_TIMM_VIT,
    'backbone.depth': 2,
    'backbone.out_indices': (0, 1),
    'decode_head.in_channels': [32] * 2,
    'decode_head.in_index': [0, 1],
}
_TIMM_DPT = {
    'decode_head.channels': 16,
    'decode_head.embed_dims': 32,
    'decode_head.post_process_channels': [4, 8, 12, 16],
}
TIMM_ARCHITECTURES = [
    Architecture('unet_timm-r34', _TIMM_UNET),
    Architecture('unetplusplus_timm-r34', _TIMM_UNET),
    Architecture('linear_dinov2-s14', _TIMM_LINEAR),
    Architecture('linear_dinov3-s16', _TIMM_LINEAR),
    # the deepest level halves the patch grid
    Architecture(
        'upernet_dinov2-s14',
        {**_TIMM_VIT, 'neck.embed_dim': 32, 'decode_head.channels': 16},
        sides=(43, 4096),
    ),
    Architecture('dpt_dinov2-s14', {**_TIMM_VIT, **_TIMM_DPT}),
]

RESNET_D8 = {
    'backbone.depth': 18,
    'backbone.base_channels': 8,
    'backbone.stem_channels': 8,
    'decode_head.in_channels': 64,
    'decode_head.channels': 16,
    'auxiliary_head.in_channels': 32,
    'auxiliary_head.channels': 8,
}

_FASTFCN = {'neck.in_channels': [16, 32, 64], 'neck.mid_channels': 16}
_BISENETV1 = {
    'backbone.backbone_cfg.base_channels': 8,
    'backbone.backbone_cfg.stem_channels': 8,
    'backbone.context_channels': [16, 32, 64],
    'backbone.spatial_channels': [8, 8, 8, 16],
    'backbone.out_channels': 32,
    'decode_head.in_channels': 32,
    'decode_head.channels': 16,
    'auxiliary_head.*.in_channels': 16,
    'auxiliary_head.*.channels': 8,
}
_BISENETV2 = {'decode_head.channels': 16, 'auxiliary_head.*.channels': 8}
_VIT = {
    'backbone.img_size': (64, 96),
    'backbone.num_layers': 4,
    'backbone.out_indices': (0, 1, 2, 3),
    'backbone.embed_dims': 32,
    'backbone.num_heads': 2,
    'decode_head.in_channels': [32] * 4,
    'decode_head.channels': 16,
    'auxiliary_head.in_channels': 32,
    'auxiliary_head.channels': 8,
}

_HRNET_WIDTHS = (8, 8, 16, 16)
_HRNET = {
    f'backbone.extra.stage{number}': dict(
        num_modules=1,
        num_branches=number,
        block='BOTTLENECK' if number == 1 else 'BASIC',
        num_blocks=(1,) * number,
        num_channels=(8,) if number == 1 else _HRNET_WIDTHS[:number],
    )
    for number in range(1, 5)
}
_HRNET_HEAD = {'in_channels': list(_HRNET_WIDTHS), 'channels': 16}
_MIT = {
    'backbone.embed_dims': 8,
    'backbone.num_layers': [1, 1, 1, 1],
    'backbone.num_heads': [1, 2, 2, 4],
    'decode_head.in_channels': [8, 16, 16, 32],
    'decode_head.channels': 16,
}

_CONVNEXT = {
    'backbone.arch': dict(depths=[1, 1], channels=[8, 12]),
    'backbone.drop_path_rate': 0.01,
    'backbone.out_indices': [0, 1],
    'decode_head.in_channels': [8, 12],
    'decode_head.in_index': [0, 1],
    'decode_head.channels': 16,
    'auxiliary_head.in_channels': 12,
    'auxiliary_head.in_index': 1,
    'auxiliary_head.channels': 8,
}
_DDRNET = {
    'backbone.channels': 4,
    'backbone.ppm_channels': 8,
    'decode_head.in_channels': 16,
    'decode_head.channels': 8,
}
_PIDNET = {
    'backbone.channels': 4,
    'backbone.ppm_channels': 4,
    'backbone.num_branch_blocks': 1,
    'decode_head.in_channels': 16,
    'decode_head.channels': 8,
}
_RESNEST = {
    'backbone.depth': 50,
    'backbone.base_channels': 8,
    'backbone.stem_channels': 8,
    'backbone.num_stages': 2,
    'backbone.strides': (1, 2),
    'backbone.dilations': (1, 1),
    'backbone.out_indices': (0, 1),
    'decode_head.in_channels': 64,
    'decode_head.in_index': 1,
    'decode_head.channels': 16,
    'auxiliary_head.in_channels': 32,
    'auxiliary_head.in_index': 0,
    'auxiliary_head.channels': 8,
}
_UNET = {
    'backbone.base_channels': 4,
    'backbone.num_stages': 3,
    **{f'backbone.{key}': (1, 1, 1) for key in ('strides', 'enc_num_convs', 'enc_dilations')},
    **{f'backbone.{key}': (1, 1) for key in ('dec_num_convs', 'downsamples', 'dec_dilations')},
    'decode_head.in_channels': 4,
    'decode_head.in_index': 2,
    'decode_head.channels': 8,
    'auxiliary_head.in_channels': 8,
    'auxiliary_head.in_index': 1,
    'auxiliary_head.channels': 8,
}
_FPN = {key: value for key, value in RESNET_D8.items() if key.startswith('backbone')} | {
    'neck.in_channels': [8, 16, 32, 64],
    'neck.out_channels': 16,
    'decode_head.in_channels': [16] * 4,
    'decode_head.channels': 8,
}
ARCHITECTURES = [
    Architecture('fast_scnn'),
    *(TIMM_ARCHITECTURES if INSTALLED else ()),
    Architecture('pspnet_r50-d8', RESNET_D8),
    Architecture('deeplabv3_r50-d8', RESNET_D8),
    Architecture('deeplabv3plus_r50-d8', {**RESNET_D8, 'decode_head.c1_in_channels': 8}),
    Architecture('gcnet_r50-d8', RESNET_D8),
    Architecture('apcnet_r50-d8', RESNET_D8),
    Architecture(
        'ann_r50-d8', {**RESNET_D8, 'decode_head.in_channels': [32, 64], 'decode_head.project_channels': 8}
    ),
    Architecture('ccnet_r50-d8', RESNET_D8),
    Architecture('danet_r50-d8', {**RESNET_D8, 'decode_head.pam_channels': 8}),
    Architecture('fastfcn_r50-d32_jpu_psp', {**RESNET_D8, **_FASTFCN}),
    Architecture('upernet_r50', {**RESNET_D8, 'decode_head.in_channels': [8, 16, 32, 64]}),
    Architecture('bisenetv1_r18-d32', _BISENETV1),
    Architecture('bisenetv2', _BISENETV2),
    # beyond 512 pixels the number of pooling windows depends on the size
    Architecture('lraspp_m-v3-d8', sides=(33, 512)),
    # the deepest level halves the patch grid
    Architecture(
        'upernet_vit-b16_ln_mln',
        {**_VIT, 'neck.in_channels': [32] * 4, 'neck.out_channels': 32},
        sides=(49, 4096),
    ),
    Architecture('fcn_r50-d8', RESNET_D8),
    # torch.export does not prove that the blocks fill the padded map
    Architecture('isanet_r50-d8', {**RESNET_D8, 'decode_head.isa_channels': 8}, sides=None),
    # sides that are divisible by the shrink factor and others are resized in different ways
    Architecture('psanet_r50-d8', {**RESNET_D8, 'decode_head.mask_size': (15, 21)}, sides=None),
    Architecture('dmnet_r50-d8', {**RESNET_D8, 'decode_head.filter_sizes': (1, 2, 3)}),
    Architecture('fcn_hr18', _HRNET | {f'decode_head.{key}': value for key, value in _HRNET_HEAD.items()}),
    Architecture(
        'ocrnet_hr18',
        _HRNET
        | {f'decode_head.*.{key}': value for key, value in _HRNET_HEAD.items()}
        | {'decode_head.1.ocr_channels': 8},
    ),
    # below, the keys of the first stage are one line
    Architecture('segformer_mit-b0', _MIT, sides=(61, 4096)),
    # sides are multiples of 16, of 4 in three stages
    Architecture('fcn_unet_s5-d16', _UNET, other_sizes=()),
    Architecture('fpn_r50', _FPN),
    # pooled maps of one pixel and larger ones are different graphs
    Architecture('ddrnet_23-slim', _DDRNET, sides=None),
    Architecture('pidnet-s', _PIDNET, sides=None),
    Architecture('fcn_s101-d8', _RESNEST),
    Architecture('upernet_convnext-tiny', _CONVNEXT, sides=(64, 4096)),
    # relative positions fix the number of patches
    # with a larger rate, a layer may be dropped for both images
    Architecture(
        'upernet_beit', {**_VIT, 'neck.embed_dim': 32, 'backbone.drop_path_rate': 0.01}, other_sizes=()
    ),
]

#: Narrowed for the test of their experiments alone: their parts are in the contract of others.
OTHER_EXPERIMENTS = [
    Architecture('pspnet_s101-d8', _RESNEST),
    Architecture('deeplabv3plus_s101-d8', {**_RESNEST, 'decode_head.c1_in_channels': 32}),
]
