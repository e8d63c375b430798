"""Time a training step of another package with mmsegmentation's interface; this file runs alone, under its interpreter.

It reads a task as JSON from stdin, ``{"config": PATH, "batch": N, "size": SIDE, "steps": N, "warmup": N}``, and prints the
result as JSON on the last line. The step is ``model.train_step`` of random 8-bit images on the device, as a training
makes it: preprocessing, forward, losses, backward, optimizer.
"""

import json
import sys
import time
import types


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


def measure(task: dict) -> dict:
    """Milliseconds of a step, and what was measured.

    Args:
        task: see the module.
    """
    stub_compiled_operators()
    import torch
    from mmengine.config import Config
    from mmengine.device import get_device
    from mmengine.model import revert_sync_batchnorm
    from mmengine.optim import build_optim_wrapper
    from mmengine.structures import PixelData

    import mmseg
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    cfg, device = Config.fromfile(task['config']), get_device()
    torch.backends.cudnn.benchmark = bool(cfg.get('env_cfg', {}).get('cudnn_benchmark', False))
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train().to(device)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    size = task['size']
    images = torch.randint(0, 256, (task['batch'], 3, size, size), device=device, dtype=torch.uint8)
    labels = (torch.rand(task['batch'], 1, size, size, device=device) < 6e-3).long()
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_shape=(size, size)))
        for label in labels
    ]

    def run(count: int) -> float:
        """Seconds of so many steps."""
        start = time.perf_counter()
        for _ in range(count):
            data = dict(inputs=list(images), data_samples=[sample.clone() for sample in samples])
            model.train_step(data, optim_wrapper=wrapper)
        if device == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter() - start

    warmup = run(task['warmup'])
    return dict(
        version=getattr(mmseg, '__version__', '?'),
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        warmup_seconds=round(warmup, 2),
        whole_ms=run(task['steps']) / task['steps'] * 1e3,
        peak_memory_mib=round(torch.cuda.max_memory_allocated() / 2**20) if device == 'cuda' else None,
    )


if __name__ == '__main__':
    print(json.dumps(measure(json.loads(sys.stdin.read()))))
