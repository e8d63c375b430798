"""What a captured step depends on besides its tensors; a graph does not follow it when it changes."""

import random

import numpy as np
import torch
from torch import nn


class ModelState:
    """Modes of the modules and which parameters are trained.

    Args:
        model: to watch.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = tuple(model.modules())
        self._parameters = tuple(model.parameters())

    def read(self) -> tuple[list[bool], list[bool]]:
        """The state now; equal to an earlier one, if nothing has changed."""
        return (
            [module.training for module in self._modules],
            [parameter.requires_grad for parameter in self._parameters],
        )


class HostState:
    """The state on the host that a step must neither use up nor change: random generators, numbers in modules.

    Args:
        model: whose modules are watched; on the CPU torch's generator is the device's, and may be used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._on_cpu = next(model.parameters()).device.type == 'cpu'
        self._random = random.getstate()
        self._numpy = np.random.get_state()[1:3]  # noqa: NPY002
        self._torch = torch.get_rng_state()
        self._numbers = self._read_numbers()

    def _read_numbers(self) -> dict[str, float]:
        return {
            f'{name}.{key}'.lstrip('.'): value
            for name, module in self._model.named_modules()
            for key, value in vars(module).items()
            if isinstance(value, int | float)
        }

    def change(self) -> str | None:
        """What has changed since, as a reason not to capture; None: nothing."""
        numpy = np.random.get_state()[1:3]  # noqa: NPY002
        if (
            random.getstate() != self._random
            or not np.array_equal(numpy[0], self._numpy[0])
            or numpy[1] != self._numpy[1]
            or not (self._on_cpu or torch.equal(torch.get_rng_state(), self._torch))
        ):
            return 'the model draws random numbers on the CPU'
        numbers = self._read_numbers()
        for name, value in numbers.items():
            before = self._numbers.get(name)
            if before != value and not (before != before and value != value):
                return f'the model counts in Python: {name} changes in each step'
        return None
