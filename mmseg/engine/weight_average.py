"""The moving average of a model's weights."""

import torch
from mmengine.model import BaseAveragedModel
from torch import nn

from mmseg.registry import MODELS


@MODELS.register_module()
class WarmUpEMA(BaseAveragedModel):
    """Exponential moving average whose window grows with the training.

    After update number t (from 0) the average becomes ``average + m · (weights - average)`` with
    ``m = max(momentum, warm_up / (warm_up + t))``: it reaches back over the last tenth of the updates for
    ``warm_up=10``, and over ``1 / momentum`` updates at most. The first update copies the weights.

    mmengine's ``MomentumAnnealingEMA`` with a longer window, few kernels for all tensors together, and buffers of
    integers that follow the model.

    Args:
        model: whose weights are averaged; its copy becomes ``module``.
        momentum: smallest share of the newest weights, above 0 and below 1.
        warm_up: at least 1; a larger one shortens the window of the beginning.
        interval: average every n-th update alone.
        update_buffers: also average the buffers of floats, the running statistics of batch norms; False copies them.

    Raises:
        ValueError: ``momentum`` or ``warm_up`` is out of its range.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        warm_up: int = 10,
        interval: int = 1,
        update_buffers: bool = True,
    ) -> None:
        if not 0 < momentum < 1:
            raise ValueError(f'WarmUpEMA: momentum={momentum}; expected a share above 0 and below 1')
        if warm_up < 1:
            raise ValueError(f'WarmUpEMA: warm_up={warm_up}; expected a number of updates of at least 1')
        super().__init__(model, interval, update_buffers=update_buffers)
        self.momentum, self.warm_up = momentum, warm_up
        # in a tuple, so that it is no part of this module
        self._source: tuple[nn.Module | None] = (None,)
        self._pairs: tuple[list, list] = ([], [])

    def avg_func(self, averaged_param: torch.Tensor, source_param: torch.Tensor, steps: int) -> None:
        """Move one tensor towards its newest value, in place."""
        averaged_param.lerp_(source_param, self.share(int(steps)))

    def share(self, update: int) -> float:
        """Share of the newest weights in an update, which are counted from 0."""
        return max(self.momentum, self.warm_up / (self.warm_up + update))

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take up the weights of ``model``, which has the same keys as ``module`` and changes them in place."""
        steps = int(self.steps)
        if self._source[0] is not model:
            self._source, self._pairs = (model,), self._pair(model)
        moving, copied = self._pairs
        if steps == 0:
            copied = [both + more for both, more in zip(copied, moving)]
        elif moving[0] and steps % self.interval == 0:
            torch._foreach_lerp_(*moving, self.share(steps))
        if copied[0]:
            torch._foreach_copy_(*copied)
        self.steps += 1

    def _pair(self, model: nn.Module) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
        """Tensors of the average and of the model: those that are averaged, and those that are copied."""
        parameters = {name for name, _ in self.module.named_parameters()}
        source = model.state_dict()
        moving, copied = [[], []], [[], []]
        for key, value in self.module.state_dict().items():
            averages = value.is_floating_point() and (self.update_buffers or key in parameters)
            pair = moving if averages else copied
            pair[0].append(value)
            pair[1].append(source[key])
        return moving, copied
