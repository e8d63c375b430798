"""Base class of the heads of GCNet, CCNet and the non-local network: a context block between convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .fcn_head import FCNHead


class ContextFCNHead(FCNHead):
    """:class:`FCNHead` of two convolutions with :meth:`context` between them.

    Args:
        kwargs: of :class:`FCNHead`, without ``num_convs``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(num_convs=2, **kwargs)

    def context(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        raise NotImplementedError

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        first, second = self.convs
        feats = second(self.context(first(x)))
        return self.conv_cat(torch.cat([x, feats], dim=1)) if self.concat_input else feats
