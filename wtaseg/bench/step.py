"""Time one training step of a config without its data loader: preprocessing, forward, losses, backward, clipping, optimizer.

On a GPU it is the step that a training makes, captured in a CUDA graph unless told otherwise. The batch is random; on a GPU it
is copied from pinned memory in each step. ``issued_ms`` is the time the program takes to issue a step,
``whole_ms`` the time until it is finished: where both are equal, a GPU waits for the processor. On a GPU the kernels of
a step are counted and their times added, and the longest are listed.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from torch.profiler import ProfilerActivity, profile

import mmseg.engine
import mmseg.models  # noqa: F401
from mmseg.engine.captured import (
    StepSettings,
    TrainingStep,
    give_training_step,
    limit_search,
    release_training_step,
)
from mmseg.engine.exchange import several_processes
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.structures.stacked_batch import StackedCollate
from mmseg.utils.config_file import read_config
from mmseg.utils.from_scratch import drop_pretrained
from mmseg.utils.launch import enable_amp
from mmseg.utils.walk import config_dicts
from wtaseg.bench.peers import ask_peer

PROFILED_STEPS = 3
#: The settings of a training whose config has none.
AS_TRAINED = StepSettings()
#: Shares of pixels of class 1 or 2, and of class 2, as in the blade images.
FOREGROUND_SHARES = (6e-3, 6e-4)


@dataclass(frozen=True)
class StepTimes:
    """The measured times, in milliseconds where the name says so; the last four are None without a GPU.

    Attributes:
        config: path of the config.
        device: name of the GPU, or ``'cpu'``.
        torch: its version.
        batch: images of a step.
        size: side of the square images in pixels.
        amp: mixed precision.
        compile: mode of torch.compile for the losses, None: not compiled.
        step: how the step runs, ``'bfloat16, one CUDA graph'``; for a step that is not captured, the reason.
        warmup_seconds: time of the steps before timing.
        issued_ms: time to issue a step.
        whole_ms: time until a step is finished.
        kernels: kernels of a step.
        kernel_ms: their time.
        longest_kernels_ms: kernel name to time, the longest first.
        peak_memory_mib: largest allocated memory.
    """

    config: str
    device: str
    torch: str
    batch: int
    size: int
    amp: bool
    compile: str | None
    step: str
    warmup_seconds: float
    issued_ms: float
    whole_ms: float
    kernels: int | None = None
    kernel_ms: float | None = None
    longest_kernels_ms: dict[str, float] | None = None
    peak_memory_mib: int | None = None


def random_batch(model: torch.nn.Module, batch: int, size: int, device: str) -> dict[str, Any]:
    """A training batch of random 8-bit images (batch, 3, size, size), stacked as a data loader does; pinned for a GPU."""
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    drawn = torch.rand(batch, 1, size, size)
    labels = sum((drawn < share).long() for share in FOREGROUND_SHARES).clamp(max=model.num_classes - 1)
    meta = dict(img_shape=(size, size))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta) for label in labels]
    data = StackedCollate()([dict(inputs=image, data_samples=one) for image, one in zip(images, samples)])
    if device != 'cuda':
        return data
    return {
        name: part.pin_memory() if isinstance(part, torch.Tensor) else part for name, part in data.items()
    }


def build_step(
    cfg: Config,
    batch: int,
    size: int,
    device: str,
    compile: str | None = None,
    settings: StepSettings = AS_TRAINED,
) -> tuple[torch.nn.Module, Callable[[], None]]:
    """The model in training mode, and a function that runs one training step on random images ``(batch, 3, size, size)``."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    if device != 'cuda' or not several_processes():
        model = revert_sync_batchnorm(model)
    model.train().to(device)
    if device == 'cuda' and settings.uses_channels_last:
        model.to(memory_format=torch.channels_last)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    if compile:
        model.loss_tensors = torch.compile(model.loss_tensors, mode=compile)
    data = random_batch(model, batch, size, device)
    model = give_training_step(model, optimizer, settings, compile)

    def step() -> None:
        model.train_step(data, optimizer)

    return model, step


def kernels(step: Callable[[], None]) -> tuple[float, Counter]:
    """Number of kernels of one step, and milliseconds of each kernel by name."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(PROFILED_STEPS):
            step()
        torch.cuda.synchronize()
    events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    milliseconds: Counter = Counter()
    for event in events:
        milliseconds[event.name] += event.device_time / PROFILED_STEPS / 1e3
    return len(events) / PROFILED_STEPS, milliseconds


def load_experiment(config: str | Path, cross_entropy: bool = False) -> Config:
    """The config of an experiment, without pretrained weights.

    Args:
        config: its path.
        cross_entropy: every head has plain cross entropy as its loss, which other packages have, too.

    Raises:
        ValueError: the config is not that of an experiment.
    """
    cfg = read_config(config)
    if missing := [key for key in ('model', 'optim_wrapper', 'train_dataloader') if key not in cfg]:
        raise ValueError(f'{config}: no {missing[0]} in it; expected the config of an experiment')
    drop_pretrained(cfg)
    if cross_entropy:
        for part in config_dicts(cfg.model):
            if 'loss_decode' in part:
                part['loss_decode'] = dict(type='CrossEntropyLoss', loss_weight=1.0)
    return cfg


def measure(
    config: str | Path,
    batch: int | None = None,
    size: int = 512,
    amp: bool = False,
    compile: str | None = None,
    steps: int = 30,
    warmup: int = 8,
    top: int = 12,
    settings: StepSettings = AS_TRAINED,
    cross_entropy: bool = False,
) -> StepTimes:
    """Time the training step of an experiment.

    Args:
        config: path of the config.
        batch: images of a step; None: as the config says.
        size: side of the square images in pixels.
        amp: mixed precision, as in training.
        compile: mode of torch.compile for the losses; None: not compiled.
        steps: timed steps.
        warmup: steps before.
        top: longest kernels to list.
        settings: how the step runs on a GPU.
        cross_entropy: with this loss instead of that of the config.

    Raises:
        ValueError: the config is not that of an experiment.
    """
    cfg = load_experiment(config, cross_entropy)
    init_default_scope('mmseg')
    if amp:
        enable_amp(cfg)
    device = get_device()
    batch = batch or cfg.train_dataloader.batch_size
    torch.backends.cudnn.benchmark = bool(cfg.get('env_cfg', {}).get('cudnn_benchmark', False))
    if device == 'cuda':
        limit_search()
    model, step = build_step(cfg, batch, size, device, compile, settings)
    warmup_seconds, _ = _timed(step, warmup, device)
    whole, issued = _timed(step, steps, device)
    times = StepTimes(
        config=str(config),
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        torch=torch.__version__,
        batch=batch,
        size=size,
        amp=amp,
        compile=compile,
        step=_describe(model, None if amp else settings, device),
        warmup_seconds=round(warmup_seconds, 2),
        issued_ms=issued / steps * 1e3,
        whole_ms=whole / steps * 1e3,
        **(_kernel_times(step, top) if device == 'cuda' else {}),
    )
    release_training_step(model)
    return times


def measure_peer(
    command: str,
    config: str | Path,
    batch: int | None = None,
    size: int = 512,
    steps: int = 30,
    warmup: int = 8,
) -> dict[str, Any]:
    """The same step of another package with mmsegmentation's interface, as it is shipped, with plain cross entropy.

    Args:
        command: of its interpreter, ``'env PYTHONPATH=/some/path /other/bin/python'``.
        config: path of the config; it must be one that the other package can build.
        batch, size, steps, warmup: as of :func:`measure`.

    Raises:
        RuntimeError: it failed; the message has the end of its stderr.
    """
    cfg = load_experiment(config, cross_entropy=True)
    batch = batch or cfg.train_dataloader.batch_size
    return ask_peer(command, cfg, kind='train', batch=batch, size=size, steps=steps, warmup=warmup)


def _describe(model: torch.nn.Module, settings: StepSettings | None, device: str) -> str:
    step = model.train_step
    if device != 'cuda':
        return 'float32, eager'
    if settings is None:
        return 'mixed precision of the config, eager'
    if isinstance(step, TrainingStep):
        return f'{settings.dtype}, ' + ('one CUDA graph' if step.reason is None else f'eager: {step.reason}')
    return f'{settings.dtype}, eager'


def _timed(step: Callable[[], None], count: int, device: str) -> tuple[float, float]:
    """Seconds until ``count`` steps are finished, and until they are issued."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    issued = time.perf_counter() - start
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start, issued


def _kernel_times(step: Callable[[], None], top: int) -> dict[str, Any]:
    count, milliseconds = kernels(step)
    return dict(
        kernels=round(count),
        kernel_ms=sum(milliseconds.values()),
        longest_kernels_ms=dict(milliseconds.most_common(top)),
        peak_memory_mib=round(torch.cuda.max_memory_allocated() / 2**20),
    )
