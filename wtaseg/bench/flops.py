"""Parameters, arithmetic and latency of models: ``python tools/analysis_tools/get_flops.py CONFIG … --shape 512``.

Prints a table in Markdown, one row per config. FLOPs are those of one image through backbone, neck and decode
head (a multiplication and an addition are two), counted by ``torch.utils.flop_counter``, which knows
convolutions, matrix products and attention; norms, activations and resizing are left out, as is usual.
"""

import argparse
import statistics
import sys
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
from mmseg.utils.smoke import drop_pretrained

WARM_UP = 2


@dataclass(frozen=True)
class Figures:
    """What is measured of one model.

    Args:
        name: of the config.
        parameters: that inference needs, so without auxiliary heads.
        training_parameters: all.
        flops: of one image.
        seconds: median of one image's forward pass; None if not measured.
    """

    name: str
    parameters: int
    training_parameters: int
    flops: int
    seconds: float | None


def _fit_image_size(cfg: Config, shape: tuple[int, int]) -> None:
    """Let backbones of a fixed image size be built for ``shape``."""
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
) -> Figures:
    """Measure a config's model on one image.

    Args:
        config: of an experiment, or of a model alone.
        shape: (height, width) of the image.
        device: for the latency.
        repeats: forward passes timed, after two that aren't; 0 leaves the latency out.

    Raises:
        ValueError: the config has no model.
    """
    cfg = Config.fromfile(config)
    if 'model' not in cfg:
        raise ValueError(f'{config}: no model in it; expected a config of configs/ or configs/_base_/models/')
    init_default_scope('mmseg')
    cfg.load_from = None
    drop_pretrained(cfg)
    _fit_image_size(cfg, shape)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
    parameters = _count(model)
    auxiliary = _count(model.auxiliary_head) if model.with_auxiliary_head else 0
    seconds = None
    if repeats:
        seconds = _latency(model.to(device), torch.randn(1, 3, *shape, device=device), repeats)
    # shapes suffice to count
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.to('meta')(torch.zeros(1, 3, *shape, device='meta'), mode='tensor')
    return Figures(Path(config).stem, parameters - auxiliary, parameters, counter.get_total_flops(), seconds)


def table(rows: list[Figures], shape: tuple[int, int], device: str) -> str:
    """The figures as Markdown."""
    header = ['model', 'parameters (M)', 'with auxiliary heads (M)', 'GFLOPs', f'latency on {device} (ms)']
    lines = [f'| {" | ".join(header)} |', f'|{"---|" + "---:|" * 4}']
    for row in rows:
        latency = '' if row.seconds is None else f'{1e3 * row.seconds:.0f}'
        lines.append(
            f'| {row.name} | {row.parameters / 1e6:.2f} | {row.training_parameters / 1e6:.2f} '
            f'| {row.flops / 1e9:.1f} | {latency} |'
        )
    return '\n'.join([*lines, '', f'One image of {shape[0]} x {shape[1]}.'])


def main(argv: list[str] | None = None) -> None:
    """Measure what the command line names and print the table."""
    parser = argparse.ArgumentParser(description='Parameters, FLOPs and latency of models')
    parser.add_argument('configs', nargs='+', help='configs of experiments or of models alone')
    parser.add_argument(
        '--shape', type=int, nargs='+', default=[512, 512], help='height and width, or one side'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--repeats', type=int, default=10, help='timed forward passes; 0: no latency')
    args = parser.parse_args(argv)
    if len(args.shape) > 2:
        parser.error(f'--shape takes height and width, got {args.shape}')
    shape = (args.shape[0], args.shape[-1])
    rows = []
    for config in args.configs:
        rows.append(measure(config, shape, args.device, args.repeats))
        print(f'measured {rows[-1].name}', file=sys.stderr)
    print(table(rows, shape, args.device))


if __name__ == '__main__':
    main()
