"""Give a runner the training step of its config."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import nn

from .backend import CudaBackend
from .data import prepare_data
from .obstacles import obstacle
from .settings import StepSettings
from .step import TrainingStep


def on_gpu(model: nn.Module) -> bool:
    """Whether the weights of a model are on a CUDA device."""
    return next(model.parameters()).device.type == 'cuda'


def prepare_for_gpu(runner: Runner) -> None:
    """Before the data loader and the optimizer are built: their settings, and the memory layout of the weights.

    Does nothing on the CPU.
    """
    if on_gpu(runner.model):
        if StepSettings.from_config(runner.cfg).uses_channels_last:
            runner.model.to(memory_format=torch.channels_last)
        prepare_data(runner)


def install_training_step(runner: Runner) -> None:
    """Replace ``train_step`` of the model by :class:`.TrainingStep`, on a GPU and unless the config switches it off.

    Without capture, or where it is not possible, the ordinary step computes in the dtype of the settings.
    """
    settings = StepSettings.from_config(runner.cfg)
    if not on_gpu(runner.model):
        return
    dtype = _dtype(runner, settings)
    reason = obstacle(runner) if settings.capture else None
    if settings.capture and reason is None:
        device = next(runner.model.parameters()).device
        runner.model.train_step = TrainingStep(
            runner.model,
            runner.optim_wrapper,
            CudaBackend(device),
            dtype,
            settings.uses_channels_last,
            runner.logger,
        )
        return
    if reason is not None:
        runner.logger.warning(f'training step: not captured in a CUDA graph, runs eagerly: {reason}')
    if dtype is not None and isinstance(runner.optim_wrapper, OptimWrapper):
        autocast_losses(runner.optim_wrapper, dtype)


def _dtype(runner: Runner, settings: StepSettings) -> torch.dtype | None:
    """Of autocast; the mixed precision that a config sets up itself is left as it is."""
    return None if isinstance(runner.optim_wrapper, AmpOptimWrapper) else settings.autocast_dtype


def autocast_losses(wrapper: OptimWrapper, dtype: torch.dtype, device: str = 'cuda') -> None:
    """Make an optimizer wrapper compute the losses, not the gradients' sums, under autocast; in place."""
    context = wrapper.optim_context

    @contextmanager
    def with_autocast(model: nn.Module) -> Iterator[None]:
        """The wrapper's context with autocast."""
        with context(model), torch.autocast(device, dtype):
            yield

    wrapper.optim_context = with_autocast


def describe_step(runner: Runner) -> str | None:
    """How the steps of a training run, for its first screen; None on the CPU and for mixed precision of the config."""
    if not on_gpu(runner.model):
        return None
    settings = StepSettings.from_config(runner.cfg)
    dtype = _dtype(runner, settings)
    if isinstance(runner.optim_wrapper, AmpOptimWrapper):
        return None
    captured = settings.capture and obstacle(runner) is None
    return f'{"bfloat16" if dtype else "float32"}, {"one CUDA graph" if captured else "eager"}'
