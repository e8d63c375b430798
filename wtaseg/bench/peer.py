"""Time steps of another package with mmsegmentation's interface; this file runs alone, under its interpreter.

It reads a task as JSON from stdin and prints the result as JSON on the last line. Tasks:
``{"kind": "train", "config": PATH, "batch": N, "size": SIDE, "steps": N, "warmup": N}`` times ``model.train_step`` of random
8-bit images on the device, as a training makes it: preprocessing, forward, losses, backward, optimizer.
``{"kind": "test", "config": PATH, "batch": N, "shape": [H, W], "window": SIDE or null, "stride": N or null, "images": N,
"warmup": N}`` times ``model.test_step`` of such images: preprocessing, forward, prediction at the size of the image.
"""

import json
import sys
import time
import types
from collections.abc import Callable
from typing import Any


def stub_compiled_operators() -> None:
    """Let the package be imported beside mmcv-lite, which has no compiled operators; what uses one fails when built."""
    try:
        import mmcv.ops
    except ImportError:

        class Absent:
            """Takes the place of an operator."""

            def __init__(self, *args, **kwargs) -> None:
                raise RuntimeError('a compiled operator of mmcv is absent')

        class Operators(types.ModuleType):
            """A module that has every name."""

            def __getattr__(self, name: str) -> type:
                if name.startswith('__'):
                    raise AttributeError(name)
                return type(name, (Absent,), {})

        import mmcv

        mmcv.ops = sys.modules['mmcv.ops'] = Operators('mmcv.ops')


def load(task: dict) -> tuple[Any, Any, str]:
    """Config, model on its device and the name of the device.

    Args:
        task: see the module.
    """
    stub_compiled_operators()
    import torch
    from mmengine.config import Config
    from mmengine.device import get_device
    from mmengine.model import revert_sync_batchnorm

    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    cfg, device = Config.fromfile(task['config']), get_device()
    torch.backends.cudnn.benchmark = bool(cfg.get('env_cfg', {}).get('cudnn_benchmark', False))
    torch.manual_seed(0)
    return cfg, revert_sync_batchnorm(MODELS.build(cfg.model)).to(device), device


def measure(task: dict) -> dict:
    """Milliseconds, and what was measured.

    Args:
        task: see the module.
    """
    import torch

    import mmseg

    cfg, model, device = load(task)
    result = (time_training if task['kind'] == 'train' else time_test)(task, cfg, model, device)
    return dict(
        version=getattr(mmseg, '__version__', '?'),
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        peak_memory_mib=round(torch.cuda.max_memory_allocated() / 2**20) if device == 'cuda' else None,
        **result,
    )


def time_training(task: dict, cfg: Any, model: Any, device: str) -> dict:
    """``whole_ms`` of a step, and ``warmup_seconds``."""
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.structures import PixelData

    from mmseg.structures import SegDataSample

    model.train()
    wrapper, size = build_optim_wrapper(model, cfg.optim_wrapper), task['size']
    images = torch.randint(0, 256, (task['batch'], 3, size, size), device=device, dtype=torch.uint8)
    labels = (torch.rand(task['batch'], 1, size, size, device=device) < 6e-3).long()
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_shape=(size, size)))
        for label in labels
    ]

    def step() -> None:
        data = dict(inputs=list(images), data_samples=[sample.clone() for sample in samples])
        model.train_step(data, optim_wrapper=wrapper)

    warmup = sum(seconds(step, task['warmup'], device))
    return dict(
        warmup_seconds=round(warmup, 2),
        whole_ms=sum(seconds(step, task['steps'], device)) / max(1, task['steps']) * 1e3,
    )


def time_test(task: dict, cfg: Any, model: Any, device: str) -> dict:
    """``image_ms``: of each batch, divided by its images."""
    import torch

    model.eval()
    if task['window']:
        window, stride = (task['window'],) * 2, (task['stride'],) * 2
        model.test_cfg = type(cfg)(dict(mode='slide', crop_size=window, stride=stride))
    batch = test_batch(task['batch'], task['shape'])

    def step() -> None:
        with torch.no_grad():
            model.test_step(dict(batch, data_samples=[sample.clone() for sample in batch['data_samples']]))

    sum(seconds(step, task['warmup'], device))
    return dict(image_ms=[one / task['batch'] * 1e3 for one in seconds(step, task['images'], device)])


def test_batch(count: int, shape: tuple[int, int]) -> dict:
    """A batch of random 8-bit images, as a data loader gives it."""
    import torch
    from mmengine.structures import PixelData

    from mmseg.structures import SegDataSample

    shape = tuple(shape)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, *shape), generator=generator, dtype=torch.uint8)
    meta = dict(ori_shape=shape, img_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0))
    label = PixelData(data=torch.zeros(1, *shape, dtype=torch.long))
    samples = [SegDataSample(gt_sem_seg=label, metainfo=meta) for _ in range(count)]
    return dict(inputs=list(images), data_samples=samples)


def seconds(step: Callable[[], None], count: int, device: str) -> list[float]:
    """Times of so many steps, each until it is finished; on a GPU their mean, of steps that follow each other."""
    import torch

    times = []
    first = start = time.perf_counter()
    for _ in range(count):
        step()
        end = time.perf_counter()
        times.append(end - start)
        start = end
    if device == 'cuda' and count:
        torch.cuda.synchronize()
        times = [(time.perf_counter() - first) / count] * count
    return times


if __name__ == '__main__':
    print(json.dumps(measure(json.loads(sys.stdin.read()))))
