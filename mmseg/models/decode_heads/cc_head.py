"""CCNet. Huang et al., Criss-Cross Attention for Semantic Segmentation, ICCV 2019, section 3.2."""

import torch
from mmcv.cnn import Scale
from torch import Tensor, nn

from mmseg.registry import MODELS

from .context_fcn_head import ContextFCNHead


@MODELS.register_module()
class CrissCrossAttention(nn.Module):
    """Each position attends to its row and its column; in plain PyTorch, keys as in mmcv's operator.

    Args:
        in_channels: of input and output; queries and keys have an eighth of it.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        if in_channels < 8:
            raise ValueError(f'CrissCrossAttention needs 8 or more channels, got {in_channels}')
        self.in_channels = in_channels
        self.query_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.key_conv = nn.Conv2d(in_channels, in_channels // 8, 1)
        self.value_conv = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; each position has H + W similarities."""
        height = x.shape[2]
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        # Similarities to the positions of the column (N, W, H, H) and of the row (N, H, W, W).
        column = query.permute(0, 3, 2, 1) @ key.permute(0, 3, 1, 2)
        row = query.permute(0, 2, 3, 1) @ key.permute(0, 2, 1, 3)
        # A position is part of its row and of its column; it is counted in the row.
        index = torch.arange(height, device=x.device)
        column = column.masked_fill(index.unsqueeze(1) == index, float('-inf')).transpose(1, 2)
        weight = torch.cat([column, row], dim=3).softmax(dim=3).to(value.dtype)  # (N, H, W, H + W)
        column, row = weight[..., :height], weight[..., height:]
        of_column = value.permute(0, 3, 1, 2) @ column.permute(0, 2, 3, 1)  # (N, W, C, H)
        of_row = value.permute(0, 2, 1, 3) @ row.transpose(2, 3)  # (N, H, C, W)
        context = of_column.permute(0, 2, 3, 1) + of_row.transpose(1, 2)
        return self.gamma(context) + x


@MODELS.register_module()
class CCHead(ContextFCNHead):
    """Criss-cross attention, repeated, between two convolutions.

    Args:
        recurrence: repetitions; after two, every position has seen every other.
        kwargs: of :class:`FCNHead`, without ``num_convs``.
    """

    def __init__(self, recurrence: int = 2, **kwargs) -> None:
        super().__init__(**kwargs)
        self.recurrence = recurrence
        self.cca = CrissCrossAttention(self.channels)

    def context(self, x: Tensor) -> Tensor:
        """Criss-cross attention, ``recurrence`` times."""
        for _ in range(self.recurrence):
            x = self.cca(x)
        return x
