"""Time one training step of a config, without its data: forward, losses, backward, optimizer.

    python tools/analysis_tools/benchmark_step.py configs/fastscnn/fast_scnn_4xb4-40k_wta-512x512.py --batch 8
    python tools/analysis_tools/benchmark_step.py CONFIG --amp --compile reduce-overhead

Images and labels are random and lie on the device already. ``issued`` is the time the program takes to hand a step
out, ``whole`` the time until it is done: where both are alike, the processor is what a GPU waits for. On a GPU the
kernels of a step are counted and added up, and the longest are listed.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch.profiler import ProfilerActivity, profile

import mmseg.engine
import mmseg.models  # noqa: F401
from mmseg.registry import MODELS
from mmseg.utils.launch import enable_amp
from mmseg.utils.smoke import drop_pretrained
from wtaseg.io import write

PROFILED = 3  # steps


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', type=Path)
    parser.add_argument('--batch', type=int, help="images of a step (default: the config's)")
    parser.add_argument('--size', type=int, default=512, help='side of the square images (default: 512)')
    parser.add_argument('--amp', action='store_true', help='mixed precision, as in tools/train.py')
    parser.add_argument('--compile', metavar='MODE', help="torch.compile's mode for the losses")
    parser.add_argument('--steps', type=int, default=30, help='steps that are timed (default: 30)')
    parser.add_argument('--warmup', type=int, default=8, help='steps before (default: 8)')
    parser.add_argument('--top', type=int, default=12, help='kernels to list (default: 12)')
    parser.add_argument('--json', type=Path, help='also write the figures there')
    args = parser.parse_args(argv)
    for name in ('steps', 'size'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    if args.batch is not None and args.batch < 1:
        parser.error('--batch must be at least 1')
    return args


def build_step(
    cfg: Config, batch: int, size: int, device: str, compile: str | None = None
) -> tuple[torch.nn.Module, Callable[[], None]]:
    """The model, and one training step over random images, 0.6 % of whose pixels are defects."""
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train().to(device)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    losses_of = torch.compile(model.loss_tensors, mode=compile) if compile else model.loss_tensors
    images = torch.randn(batch, 3, size, size, device=device)
    drawn = torch.rand(batch, size, size, device=device)
    labels = sum((drawn < share).long() for share in (6e-3, 6e-4))
    labels = labels.clamp(max=model.num_classes - 1)

    def step() -> None:
        with optimizer.optim_context(model):
            losses = losses_of(images, labels)
            total = sum(value for name, value in losses.items() if 'loss' in name)
        optimizer.update_params(total)

    return model, step


def kernels(step: Callable[[], None]) -> tuple[float, Counter]:
    """How many kernels one step runs, and the milliseconds of each by name."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(PROFILED):
            step()
        torch.cuda.synchronize()
    run = [event for event in found.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    spent: Counter = Counter()
    for event in run:
        spent[event.name] += event.device_time / PROFILED / 1e3
    return len(run) / PROFILED, spent


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures, times in milliseconds."""
    cfg = Config.fromfile(args.config)
    if missing := [key for key in ('model', 'optim_wrapper', 'train_dataloader') if key not in cfg]:
        raise ValueError(f'{args.config}: no {missing[0]} in it; expected the config of an experiment')
    init_default_scope('mmseg')
    drop_pretrained(cfg)
    if args.amp:
        enable_amp(cfg)
    device = get_device()
    on_gpu = device == 'cuda'
    batch = args.batch or cfg.train_dataloader.batch_size
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    _, step = build_step(cfg, batch, args.size, device, args.compile)
    begun = time.perf_counter()
    for _ in range(args.warmup):
        step()
    wait()
    warm = time.perf_counter()
    for _ in range(args.steps):
        step()
    issued = time.perf_counter() - warm
    wait()
    whole = time.perf_counter() - warm
    figures = {
        'config': str(args.config),
        'device': torch.cuda.get_device_name() if on_gpu else 'cpu',
        'torch': torch.__version__,
        'batch': batch,
        'size': args.size,
        'amp': args.amp,
        'compile': args.compile,
        'warmup_seconds': round(warm - begun, 2),
        'issued_ms': issued / args.steps * 1e3,
        'whole_ms': whole / args.steps * 1e3,
    }
    if on_gpu:
        count, spent = kernels(step)
        figures['kernels'] = round(count)
        figures['kernel_ms'] = sum(spent.values())
        figures['longest_kernels_ms'] = dict(spent.most_common(args.top))
        figures['peak_memory_mib'] = round(torch.cuda.max_memory_allocated() / 2**20)
    return figures


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    args = parse_args(argv)
    figures = measure(args)
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json is not None:
        write(args.json, text + '\n')


if __name__ == '__main__':
    main()
