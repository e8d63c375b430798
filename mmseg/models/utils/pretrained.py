"""Pretrained weights of backbones: read them, load them, and report which were used.

See :mod:`mmseg.models.utils.weight_sources` for the names of checkpoints and where they are stored.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model import PretrainedInit as _PretrainedInit
from mmengine.model.weight_init import update_init_info
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.registry import WEIGHT_INITIALIZERS
from mmseg.utils.checkpoint_reading import read_checkpoint_file

from .weight_sources import fetch, unavailable

# Keys below which training programs put the weights.
_WRAPPERS = ('state_dict', 'model', 'module', 'state_dict_ema')


def _read_timm(checkpoint: str) -> dict[str, Tensor]:
    try:
        import timm

        return timm.create_model(checkpoint.removeprefix('timm://'), pretrained=True).state_dict()
    except ImportError as error:
        raise unavailable(checkpoint, f'timm is needed: pip install "wta-seg[timm]" ({error})') from error
    except Exception as error:  # timm and its hub raise many types, for names and for the network
        raise unavailable(checkpoint, f'timm: {error}') from error


def _load_file(checkpoint: str, file: Path) -> object:
    if file.suffix == '.safetensors':
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise ValueError(
                f'pretrained weights {checkpoint!r}: not a whole safetensors file ({error}); copy it again'
            ) from error
    try:
        return read_checkpoint_file(file, map_location='cpu')
    except ValueError as error:
        raise ValueError(f'pretrained weights {checkpoint!r}: {error}') from error


def read_state_dict(checkpoint: str, prefix: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint on the CPU, in any of the layouts of mmengine, timm, DeiT, BEiT and DDP.

    Args:
        checkpoint: its name, see :mod:`mmseg.models.utils.weight_sources`.
        prefix: read only keys with this prefix, and remove it; ``'backbone.'`` reads the backbone of a whole model.

    Raises:
        FileNotFoundError: it doesn't exist or can't be downloaded; says where to get it.
        ValueError: it isn't a checkpoint, or has no key with ``prefix``.
    """
    checkpoint = str(checkpoint)
    if checkpoint.startswith('timm://'):
        content = _read_timm(checkpoint)
    else:
        content = _load_file(checkpoint, fetch(checkpoint))
    state = _unwrap(content)
    if not state:
        kind = f'keys {list(content)[:5]}' if isinstance(content, dict) else f'a {type(content).__name__}'
        raise ValueError(f'pretrained weights {checkpoint!r}: expected a state_dict, found {kind}')
    if prefix is None and checkpoint.startswith('mmcls://'):
        prefix = 'backbone.'
    return _below(state, prefix, checkpoint) if prefix else state


def _unwrap(content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    for key in _WRAPPERS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if state and all(key.startswith('module.') for key in state):
        state = {key.removeprefix('module.'): value for key, value in state.items()}
    return state


def _below(state: dict[str, Tensor], prefix: str, checkpoint: str) -> dict[str, Tensor]:
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not part:
        starts = sorted({key.partition('.')[0] for key in state})
        raise ValueError(
            f'pretrained weights {checkpoint!r}: no key begins with {prefix!r}; they begin with {starts}'
        )
    return part


def _listing(title: str, entries: Iterable[str], most: int = 12) -> list[str]:
    entries = list(entries)
    if not entries:
        return []
    lines = [f'    {entry}' for entry in entries[:most]]
    if len(entries) > most:
        lines.append(f'    … and {len(entries) - most} more')
    return [f'  {title}: {len(entries)}', *lines]


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'


def load_state_dict(module: torch.nn.Module, state: dict[str, Tensor], source: str) -> str:
    """Load the tensors of ``state`` that fit into ``module``, and log a report of those that don't.

    First, ``module.convert_pretrained``, if it exists, renames keys and interpolates tables.

    Returns:
        The report: how many tensors were loaded, which are missing, unexpected, resized or of another shape.

    Raises:
        ValueError: no key of ``state`` is one of the module's, or a tensor holds NaN.
    """
    convert = getattr(module, 'convert_pretrained', dict)
    original = state
    state = convert(dict(state))
    current = module.state_dict()
    misfits = {key for key, value in state.items() if key in current and value.shape != current[key].shape}
    loaded = [key for key in current if key in state and key not in misfits]
    name = type(module).__name__
    if not loaded:
        raise ValueError(
            f'pretrained weights {source!r}: none of its {len(state)} tensors fits {name}, which has '
            f'{list(current)[:3]}…; it has {list(state)[:3]}…. For the backbone of a whole model set '
            "init_cfg=dict(type='Pretrained', checkpoint=…, prefix='backbone.')"
        )
    if bad := next(
        (key for key in loaded if state[key].is_floating_point() and state[key].isnan().any()), None
    ):
        raise ValueError(
            f'pretrained weights {source!r}: {bad} holds NaN, expected finite numbers; take another checkpoint'
        )
    module.load_state_dict({key: state[key] for key in loaded}, strict=False)

    missing = [key for key in current if key not in state and not key.endswith('num_batches_tracked')]
    resized = [key for key in loaded if key in original and original[key].shape != state[key].shape]
    report = [f'{name} from {source}: {len(loaded)} of {len(current)} tensors loaded']
    report += _listing('missing, left at their initial values', missing)
    report += _listing(
        'of another shape, left at their initial values',
        (
            f'{key} is {_shape(current[key])}, in the checkpoint {_shape(state[key])}'
            for key in sorted(misfits)
        ),
    )
    report += _listing('unexpected, ignored', (key for key in state if key not in current))
    report += _listing(
        'resized', (f'{key} from {_shape(original[key])} to {_shape(current[key])}' for key in resized)
    )
    text = '\n'.join(report)
    print_log(text, logger='current', level=30 if missing or misfits else 20)
    return text


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit(_PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=…, prefix=None)`` in this package's scope."""

    def __call__(self, module: torch.nn.Module) -> None:
        state = read_state_dict(self.checkpoint, self.prefix)
        load_state_dict(module, state, str(self.checkpoint))
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


KAIMING_INIT = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
"""For ``default_init`` of convolutional backbones."""


class BaseBackbone(BaseModule):
    """Base class of backbones: pretrained weights through :func:`load_state_dict`, and freezing.

    A subclass may set ``norm_eval`` and ``default_init``, and override :meth:`_freeze_stages`.

    Args:
        init_cfg: mmengine's weight initialisation; ``default_init`` of the class if neither it nor ``pretrained`` is given.
        pretrained: a checkpoint's name; the same as ``init_cfg=dict(type='Pretrained', checkpoint=pretrained)``.

    Raises:
        ValueError: both are given.
    """

    norm_eval = False
    default_init: list[dict] | None = None

    def __init__(self, init_cfg: dict | list[dict] | None = None, pretrained: str | None = None) -> None:
        if init_cfg is None and pretrained is None:
            init_cfg = copy.deepcopy(self.default_init)
        if pretrained is not None:
            if init_cfg is not None:
                raise ValueError(
                    f'{type(self).__name__}: pretrained={pretrained!r} and init_cfg={init_cfg} cannot both be given'
                )
            if not isinstance(pretrained, (str, Path)):
                raise ValueError(
                    f"{type(self).__name__}: pretrained is a checkpoint's name or None, got {pretrained!r}"
                )
            init_cfg = dict(type='Pretrained', checkpoint=str(pretrained))
        super().__init__(init_cfg)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, with this package's ``Pretrained`` whatever the default scope is."""
        with DefaultScope.overwrite_default_scope('mmseg'):
            super().init_weights()

    def convert_pretrained(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename a checkpoint's keys and resize its tables for this model; override where needed."""
        return state

    def _freeze_stages(self) -> None:
        """Put frozen stages into eval mode, without gradients; every :meth:`train` calls it."""

    def train(self, mode: bool = True) -> 'BaseBackbone':
        """As ``nn.Module.train``, with frozen stages and, under ``norm_eval``, all norms left in eval mode."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, (_BatchNorm, torch.nn.LayerNorm)):
                    module.eval()
        return self
