"""Prompt-to-prompt as factors on values: the edit of the target's cross-attention maps.

Attention is linear in its values, so taking over, permuting or scaling columns of a cross-attention map equals
mixing the 77 value vectors first, and no map has to be written to memory.
"""

import torch
from torch import Tensor

from augment.diffusion.prompts import Alignment


class ColumnMix:
    """Edit of the target's cross-attention maps (Hertz et al. 2023, section 3.2: refinement, then re-weighting).

    The edited map is ``M[:, t] = eq[t] * (shared[t] * S[:, source[t]] + (1 - shared[t]) * T[:, t])`` with S and T
    the maps of source and target. Then ``M @ V = S @ (from_source @ V) + T @ (from_target * V)``.

    Args:
        alignment: Which tokens of the two prompts belong together.
        positions: The word's tokens in the target prompt.
        eq: Factor on the columns at ``positions``.

    Attributes:
        from_source: ``(77, 77)`` float32, from target column to source column.
        from_target: ``(77, 1)`` float32, share of the target's own columns.
    """

    def __init__(
        self, alignment: Alignment, positions: list[int], eq: float, device: torch.device | str = 'cpu'
    ):
        length = len(alignment.source)
        weight = torch.ones(length)
        weight[positions] = eq
        self.from_source = torch.zeros(length, length, device=device)
        self.from_target = torch.zeros(length, 1, device=device)
        self.from_source[alignment.source, torch.arange(length)] = (weight * alignment.shared).to(device)
        self.from_target[:, 0] = (weight * (1 - alignment.shared)).to(device)

    def copy_(self, other: 'ColumnMix') -> None:
        """Copy another mix into the tensors of this one, which captured CUDA graphs read."""
        self.from_source.copy_(other.from_source)
        self.from_target.copy_(other.from_target)

    def edited_maps(self, source: Tensor, target: Tensor) -> Tensor:
        """The edited maps themselves, from maps ``(N, heads, P, 77)`` of source and target."""
        return source @ self.from_source + target * self.from_target[:, 0]
