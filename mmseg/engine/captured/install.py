"""Give a runner the training step of its config."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from mmengine.model import BaseModel, MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import nn

from ..exchange import Exchange, exchange_of, several_processes
from .backend import CudaBackend
from .data import prepare_data
from .obstacles import obstacle, of_model, of_optimizer
from .settings import StepSettings
from .step import TrainingStep

#: Algorithms that cudnn tries for a convolution, those that it expects to be the fastest; PyTorch's default is 10.
CUDNN_TRIES = 4
Wrap = Callable[[nn.Module], nn.Module]
#: First compute capability with bfloat16, Ampere.
BFLOAT16_FROM = (8, 0)


def on_gpu(model: nn.Module) -> bool:
    """Whether the weights of a model are on a CUDA device."""
    return next(model.parameters()).device.type == 'cuda'


def settings_for(runner: Runner) -> StepSettings:
    """The settings of a runner's config; float32 in place of bfloat16 on a GPU that does not compute in it."""
    settings = StepSettings.from_config(runner.cfg)
    device = next(runner.model.parameters()).device
    if settings.autocast_dtype is torch.bfloat16 and torch.cuda.get_device_capability(device) < BFLOAT16_FROM:
        return replace(settings, dtype='float32')
    return settings


def prepare_for_gpu(runner: Runner) -> None:
    """Before the data loader and the optimizer are built: their settings, and the memory layout of the weights.

    Does nothing on the CPU.
    """
    if on_gpu(runner.model):
        if settings_for(runner).uses_channels_last:
            runner.model.to(memory_format=torch.channels_last)
        limit_search()
        prepare_data(runner)


def limit_search() -> None:
    """Let cudnn try fewer algorithms for a convolution: its search is most of the time before the first iteration."""
    torch.backends.cudnn.benchmark_limit = CUDNN_TRIES


def join_processes(runner: Runner, wrap: Wrap) -> Exchange | None:
    """Where several processes train: the exchange of a step that may be captured, else the model is wrapped for ordinary steps.

    Args:
        runner: with its optimizer, and its model not wrapped yet; one that a config wraps itself stays as it is.
        wrap: makes of the model what an ordinary step of several processes calls.
    """
    if not several_processes() or is_model_wrapper(runner.model):
        return None
    captured = on_gpu(runner.model) and settings_for(runner).capture and obstacle(runner) is None
    exchange = exchange_of(runner.logger) if captured else None
    if exchange is None:
        runner.model = wrap(runner.model)
    return exchange


def install_training_step(runner: Runner, exchange: Exchange | None = None, wrap: Wrap | None = None) -> None:
    """Replace ``train_step`` of the model by :class:`.TrainingStep`, on a GPU and unless the config switches it off.

    Without capture, or where it is not possible, the ordinary step computes in the dtype of the settings.

    Args:
        runner: with its model and optimizer.
        exchange: see :func:`join_processes`.
        wrap: as there.
    """
    if on_gpu(runner.model):
        settings = settings_for(runner)
        reason = obstacle(runner) if settings.capture else None
        _give(runner.model, runner.optim_wrapper, settings, reason, runner.logger, exchange, wrap)


def release_training_step(model: nn.Module) -> None:
    """Free the graphs of a model's training step, if it has any."""
    step = getattr(model, 'train_step', None)
    if isinstance(step, TrainingStep):
        step.release()


def give_training_step(
    model: BaseModel, wrapper: OptimWrapper, settings: StepSettings, compile_mode: str | None = None
) -> nn.Module:
    """:func:`install_training_step` for a model that no runner trains.

    Args:
        model: has ``loss_tensors``.
        wrapper: of its optimizer.
        settings: how the step runs on a GPU.
        compile_mode: with which ``loss_tensors`` is compiled.

    Returns:
        What has the ``train_step``: the model, or of several processes whose step is not captured, the model in DDP.
    """
    logger, reason = logging.getLogger(__name__), None
    if settings.capture:
        reason = of_model(model, dict(mode=compile_mode)) or of_optimizer(wrapper)
    exchange = None
    if several_processes():
        captured = on_gpu(model) and settings.capture and reason is None
        exchange = exchange_of(logger) if captured else None
        if exchange is None:
            model, reason = wrap_in_ddp(model), reason or 'DDP exchanges the gradients'
    if on_gpu(model):
        _give(model, wrapper, settings, reason if settings.capture else None, logger, exchange, wrap_in_ddp)
    return model


def wrap_in_ddp(model: nn.Module) -> MMDistributedDataParallel:
    """A model whose gradients are averaged over the processes, on its device."""
    device = next(model.parameters()).device
    return MMDistributedDataParallel(
        model, device_ids=[device.index] if device.type == 'cuda' else None, broadcast_buffers=False
    )


def _give(
    model: nn.Module,
    wrapper: OptimWrapper,
    settings: StepSettings,
    reason: str | None,
    logger: logging.Logger,
    exchange: Exchange | None,
    wrap: Wrap | None,
) -> None:
    dtype = _dtype(wrapper, settings)
    if settings.capture and reason is None:
        backend = CudaBackend(next(model.parameters()).device)
        assert exchange is not None or not several_processes()
        model.train_step = TrainingStep(
            model, wrapper, backend, dtype, settings.uses_channels_last, logger, exchange, wrap
        )
        return
    if reason is not None:
        logger.warning(f'training step: not captured in a CUDA graph, runs eagerly: {reason}')
    if dtype is not None and isinstance(wrapper, OptimWrapper):
        autocast_losses(wrapper, dtype)


def _dtype(wrapper: OptimWrapper, settings: StepSettings) -> torch.dtype | None:
    """Of autocast; the mixed precision that a config sets up itself is left as it is."""
    return None if isinstance(wrapper, AmpOptimWrapper) else settings.autocast_dtype


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
    settings = settings_for(runner)
    dtype = _dtype(runner.optim_wrapper, settings)
    if isinstance(runner.optim_wrapper, AmpOptimWrapper):
        return None
    captured = settings.capture and obstacle(runner) is None
    return f'{"bfloat16" if dtype else "float32"}, {"one CUDA graph" if captured else "eager"}'
