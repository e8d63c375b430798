"""Base classes of losses."""

from collections.abc import Sequence

import torch
from torch import nn

from .class_weight import ENET, check_per_class, get_class_weight


class SegmentationLoss(nn.Module):
    """Base of all losses.

    Args:
        loss_weight: factor of the result.
        loss_name: its key in the log; only keys that begin with 'loss' contribute to the gradient.
    """

    def __init__(self, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self._loss_name = loss_name

    @property
    def loss_name(self) -> str:
        """The key of this loss in the log."""
        return self._loss_name


class ClassWeightedLoss(SegmentationLoss):
    """A loss with an optional weight per class.

    ``class_weight`` has the config's value, as ``get_class_weight`` reads it, and can be assigned again. The
    numbers are also kept in a buffer, which moves with the model: building a tensor from a list in every
    step would wait for the device and can't be captured in a CUDA graph. The buffer is not in ``state_dict``.
    """

    def __init__(
        self, class_weight: Sequence[float] | str | None, loss_weight: float, loss_name: str
    ) -> None:
        super().__init__(loss_weight, loss_name)
        self.register_buffer('_weight_per_class', None, persistent=False)
        self.class_weight = class_weight

    @property
    def class_weight(self) -> list[float] | str | None:
        """One weight per class, ``'enet'`` until they are computed, or None."""
        return self._class_weight

    @class_weight.setter
    def class_weight(self, value: Sequence[float] | str | None) -> None:
        self._class_weight = get_class_weight(value)
        if isinstance(self._class_weight, list):
            old = self._weight_per_class
            device = None if old is None else old.device
            self._weight_per_class = torch.tensor(self._class_weight, dtype=torch.float32, device=device)
        else:
            self._weight_per_class = None

    def class_weight_for(self, pred: torch.Tensor, num_classes: int | None = None) -> torch.Tensor | None:
        """The weights, shape (C,), in dtype and on the device of ``pred``; None if there are none.

        Raises:
            ValueError: there are not as many as classes, or they have not been computed yet.
        """
        if self._class_weight == ENET:
            raise ValueError(
                f"{type(self).__name__}: class_weight='enet' has no weights yet. Add "
                "dict(type='ClassWeightHook') to custom_hooks, which computes them from the training labels, "
                'or give a list of numbers, such as enet_class_weight(pixel_counts) returns'
            )
        if self._weight_per_class is None:
            return None
        num_classes = pred.shape[1] if num_classes is None else num_classes
        check_per_class('class_weight', self._weight_per_class, num_classes, type(self).__name__)
        return self._weight_per_class.to(pred)
