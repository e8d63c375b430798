"""An optimizer inside a captured step: its learning rates and counters as tensors on the device.

Its parameter groups keep their values outside of a step, so that schedulers, logs and checkpoints see an ordinary
optimizer.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.optim import Optimizer

# what a step does not compute with
_NO_HYPERPARAMETERS = ('params', 'lr', 'initial_lr', 'param_names')


class CapturableOptimizer:
    """Prepares an optimizer for steps that are captured.

    Args:
        optimizer: one of ``torch.optim``.
        device: of its parameters.

    Attributes:
        optimizer: as given.
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self.optimizer = optimizer
        self.on_cuda = device.type == 'cuda'
        # fused kernels read float32; on the CPU the rates are those of the schedulers to the bit
        dtype = torch.float32 if self.on_cuda else torch.float64
        self._rates = [torch.zeros((), dtype=dtype, device=device) for _ in optimizer.param_groups]
        self._values: list[float] | None = None

    @torch.no_grad()
    def prepare(self) -> None:
        """Move the counters of a resumed state to the device, and give state the memory layout of its parameter."""
        if not self.on_cuda:
            return
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if not isinstance(value, torch.Tensor):
                    continue
                if name == 'step':
                    state[name] = value.to(parameter.device, torch.float32)
                elif value.shape == parameter.shape and value.stride() != parameter.stride():
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def release(self) -> None:
        """Move the counters back to the host, where an ordinary step expects them."""
        for state in self.optimizer.state.values():
            if isinstance(state.get('step'), torch.Tensor):
                state['step'] = state['step'].cpu()

    @torch.no_grad()
    def update_rates(self) -> None:
        """Copy the learning rates of the groups to the device, where they have changed; the host does not wait."""
        values = [float(group['lr']) for group in self.optimizer.param_groups]
        if values != self._values:
            torch._foreach_zero_(self._rates)
            torch._foreach_add_(self._rates, values)
            self._values = values

    def hyperparameters(self) -> tuple:
        """What a captured step computes with besides the rates; it must not change."""
        return tuple(
            (name, value)
            for group in self.optimizer.param_groups
            for name, value in group.items()
            if name not in _NO_HYPERPARAMETERS
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within, a step reads its rates from the device, and is fused where the optimizer can be."""
        groups = self.optimizer.param_groups
        before = [dict(group) for group in groups]
        warned = getattr(self.optimizer, '_warned_capturable_if_run_uncaptured', None)
        try:
            for group, rate in zip(groups, self._rates):
                group['lr'] = rate
                if self.on_cuda:
                    if 'capturable' in group:
                        group['capturable'] = True
                    if 'fused' in group:
                        group.update(fused=True, foreach=False)
            self.optimizer._warned_capturable_if_run_uncaptured = True
            yield
        finally:
            if warned is not None:
                self.optimizer._warned_capturable_if_run_uncaptured = warned
            for group, old in zip(groups, before):
                for name in ('lr', 'capturable', 'fused', 'foreach'):
                    if name in old:
                        group[name] = old[name]
