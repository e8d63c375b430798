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
        device: of the average; None: that of the model.
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
        device: torch.device | None = None,
        update_buffers: bool = True,
    ) -> None:
        if not 0 < momentum < 1:
            raise ValueError(f'WarmUpEMA: momentum={momentum}; expected a share above 0 and below 1')
        if warm_up < 1:
            raise ValueError(f'WarmUpEMA: warm_up={warm_up}; expected a number of updates of at least 1')
        super().__init__(model, interval, device, update_buffers)
        self.momentum, self.warm_up = momentum, warm_up

    def avg_func(self, averaged_param: torch.Tensor, source_param: torch.Tensor, steps: int) -> None:
        """Move one tensor towards its newest value, in place."""
        averaged_param.lerp_(source_param, self.share(int(steps)))

    def share(self, update: int) -> float:
        """Share of the newest weights in an update, which are counted from 0."""
        return max(self.momentum, self.warm_up / (self.warm_up + update))

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take up the weights of ``model``, which has the same keys as ``module``."""
        steps = int(self.steps)
        parameters = {name for name, _ in self.module.named_parameters()}
        source, average = model.state_dict(), self.module.state_dict()
        moving, copied = [], []
        for key, value in average.items():
            averages = value.is_floating_point() and (self.update_buffers or key in parameters)
            (moving if averages and steps > 0 else copied).append((value, source[key].to(value.device)))
        if copied:
            torch._foreach_copy_(*map(list, zip(*copied)))
        if moving and steps % self.interval == 0:
            torch._foreach_lerp_(*map(list, zip(*moving)), self.share(steps))
        self.steps += 1
