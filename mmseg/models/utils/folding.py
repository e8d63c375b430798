"""Make a trained model quicker for inference."""

import copy
from collections.abc import Callable

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.logging import print_log
from torch import Tensor, nn

from . import winograd

#: Side of the random image by which a folded model is checked.
_SIDE = 128
#: Largest difference of a logit, as a share of the largest logit. Folding rounds in another place, about
#: 1e-6; Winograd's convolutions about 1e-4.
TOLERANCE = 1e-3

#: Method of modules that have a quicker form on a CPU.
HOOK = 'prepare_for_inference'


@torch.no_grad()
def prepare_for_inference(model: nn.Module) -> bool:
    """Make a model quicker, in place: batch norms folded into convolutions, and on a CPU other forms of convolutions.

    On a CPU, modules with a method ``prepare_for_inference`` change to their quicker form, wide 3 x 3 convolutions become :class:`mmseg.models.utils.winograd.WinogradConv2d`, and models with
    depthwise convolutions store their weights with the channels last. After each change the model must give the logits
    that it gave for a random image, within :data:`TOLERANCE`; otherwise, or where that can't be computed, the change is
    undone. Keys of its ``state_dict`` change: it is not for training.

    Args:
        model: a segmentor in evaluation mode, with its weights.

    Returns:
        Whether batch norms were folded.
    """
    on_cpu = next(model.parameters()).device.type == 'cpu'
    modules = list(model.modules())
    folded = False
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        folded = _change(model, fuse_conv_bn, 'batch norms are not folded into convolutions')
    if on_cpu and any(hasattr(module, HOOK) for module in modules):
        _change(model, _call_hooks, 'heads stay as they are')
    if on_cpu and any(map(winograd.suits, modules)):
        _change(model, winograd.replace, '3 x 3 convolutions stay as they are')
    if on_cpu and _has_depthwise(model):
        model.to(memory_format=torch.channels_last)
    return folded


def _change(model: nn.Module, change: Callable[[nn.Module], nn.Module], otherwise: str) -> bool:
    """Change copies of the parts that predict, and keep them if the logits stay; else log ``otherwise``."""
    device = next(model.parameters()).device
    originals = {name: getattr(model, name) for name in _parts(model)}
    image = torch.rand(1, 3, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)).to(device) * 2 - 1
    try:
        expected = model._forward(image)
        # auxiliary heads stay
        for name, part in originals.items():
            setattr(model, name, change(copy.deepcopy(part)))
        if _agree(model._forward(image), expected):
            return True
        reason = 'the logits differ'
    except Exception as error:  # a model with its own forward, or one of another image size
        reason = f'{type(error).__name__}: {(str(error).splitlines() or [""])[0]}'
    for name, part in originals.items():
        setattr(model, name, part)
    print_log(f'{otherwise}: {reason}', 'current')
    return False


def _call_hooks(part: nn.Module) -> nn.Module:
    for module in list(part.modules()):
        if hasattr(module, HOOK):
            getattr(module, HOOK)()
    return part


def _has_depthwise(model: nn.Module) -> bool:
    """Whether there are depthwise convolutions: those gain from channels last, dense ones lose a tenth."""
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in model.modules())


def _parts(model: nn.Module) -> list[str]:
    return [
        name
        for name in ('backbone', 'neck', 'decode_head')
        if isinstance(getattr(model, name, None), nn.Module)
    ]


def _agree(logits: Tensor, expected: Tensor) -> bool:
    difference, scale = (logits - expected).abs().max(), expected.abs().max()
    return bool(difference <= TOLERANCE * scale)
