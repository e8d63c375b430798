"""Parameters, FLOPs and latency of models.

FLOPs are those of one image through backbone, neck and decode head; a multiplication and an addition count as two.
They are counted by ``torch.utils.flop_counter``: convolutions, matrix products and attention, without norms,
activations and resizing.
"""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

import mmseg.models  # noqa: F401
from mmseg.registry import MODELS
from mmseg.utils.config_file import read_config
from mmseg.utils.from_scratch import drop_pretrained
from wtaseg.markdown import table_lines

WARM_UP = 2


@dataclass(frozen=True)
class ModelCost:
    """Size and arithmetic of one model.

    Attributes:
        name: file name of the config without suffix.
        parameters: parameters for inference, without auxiliary heads.
        training_parameters: all parameters.
        flops: of one image.
        seconds: median time of one image's forward pass; None: not measured.
    """

    name: str
    parameters: int
    training_parameters: int
    flops: int
    seconds: float | None


def fit_image_size(cfg: Config, shape: tuple[int, int]) -> None:
    """Build backbones of a fixed image size for ``shape``."""
    if 'img_size' in cfg.model.backbone:
        cfg.model.backbone.img_size = shape


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@torch.inference_mode()
def _latency(model: torch.nn.Module, images: torch.Tensor, repeats: int) -> float:
    def synchronize() -> None:
        if images.is_cuda:
            torch.cuda.synchronize()

    seconds = []
    for _ in range(WARM_UP + repeats):
        synchronize()
        begin = time.perf_counter()
        model(images, mode='tensor')
        synchronize()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[WARM_UP:])


def measure(
    config: str | Path, shape: tuple[int, int] = (512, 512), device: str = 'cpu', repeats: int = 10
) -> ModelCost:
    """Measure the model of a config on one image.

    Args:
        config: config of an experiment, or of a model alone.
        shape: (height, width) of the image in pixels.
        device: where the latency is measured.
        repeats: timed forward passes, after two warm-up passes; 0: the latency is not measured.

    Raises:
        ValueError: the config has no model.
    """
    cfg = read_config(config)
    if 'model' not in cfg:
        raise ValueError(f'{config}: no model in it; expected a config of configs/ or configs/_base_/models/')
    init_default_scope('mmseg')
    cfg.load_from = None
    drop_pretrained(cfg)
    fit_image_size(cfg, shape)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
    parameters = _count(model)
    auxiliary = _count(model.auxiliary_head) if model.with_auxiliary_head else 0
    seconds = None
    if repeats:
        seconds = _latency(model.to(device), torch.randn(1, 3, *shape, device=device), repeats)
    # counting needs shapes only
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.to('meta')(torch.zeros(1, 3, *shape, device='meta'), mode='tensor')
    return ModelCost(
        Path(config).stem, parameters - auxiliary, parameters, counter.get_total_flops(), seconds
    )


def table(rows: list[ModelCost], shape: tuple[int, int], device: str) -> str:
    """A Markdown table, one row per model."""
    header = ['model', 'parameters (M)', 'with auxiliary heads (M)', 'GFLOPs', f'latency on {device} (ms)']
    cells = [
        [
            row.name,
            f'{row.parameters / 1e6:.2f}',
            f'{row.training_parameters / 1e6:.2f}',
            f'{row.flops / 1e9:.1f}',
            '' if row.seconds is None else f'{1e3 * row.seconds:.0f}',
        ]
        for row in rows
    ]
    return '\n'.join([*table_lines(header, cells), '', f'One image of {shape[0]} x {shape[1]}.'])
