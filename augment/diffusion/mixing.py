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

    A mix holds the edits of W words, which have the same sources. Their N targets each are rows ordered word by word.

    Args:
        alignment: Which tokens of the two prompts belong together.
        positions: The word's tokens in the target prompt.
        eq: Factor on the columns at ``positions``.

    Attributes:
        from_source: ``(W, 77, 77)`` float32, from target column to source column; W is 1 until ``stack``.
        from_target: ``(W, 77, 1)`` float32, share of the target's own columns.
    """

    def __init__(
        self, alignment: Alignment, positions: list[int], eq: float, device: torch.device | str = 'cpu'
    ):
        length = len(alignment.source)
        weight = torch.ones(length)
        weight[positions] = eq
        self.from_source = torch.zeros(1, length, length, device=device)
        self.from_target = torch.zeros(1, length, 1, device=device)
        self.from_source[0, alignment.source, torch.arange(length)] = (weight * alignment.shared).to(device)
        self.from_target[0, :, 0] = (weight * (1 - alignment.shared)).to(device)

    @classmethod
    def stack(cls, mixes: list['ColumnMix']) -> 'ColumnMix':
        """One mix for the words of ``mixes``, in their order."""
        stacked = cls.__new__(cls)
        stacked.from_source = torch.cat([mix.from_source for mix in mixes])
        stacked.from_target = torch.cat([mix.from_target for mix in mixes])
        return stacked

    def __len__(self) -> int:
        return len(self.from_source)

    def repeat_sources(self, sources: Tensor) -> Tensor:
        """Rows of N sources once for each word: ``(W * N, ...)``."""
        return sources.repeat(len(self), *[1] * (sources.ndim - 1))

    def source_values(self, values: Tensor) -> Tensor:
        """Factor of the sources' maps, from the targets' values ``(W * N, heads, 77, d)``, of the same shape."""
        return self._per_row(self.from_source, values) @ values

    def target_values(self, values: Tensor) -> Tensor:
        """Factor of the targets' own maps, from their values ``(W * N, heads, 77, d)``, of the same shape."""
        return self._per_row(self.from_target, values) * values

    def _per_row(self, factors: Tensor, rows: Tensor) -> Tensor:
        """Factors ``(W, ...)`` as ``(W * N, 1, ...)`` in the dtype of ``rows (W * N, heads, ...)``."""
        images = len(rows) // len(self)
        return factors.to(rows.dtype)[:, None].expand(-1, images, -1, -1).flatten(0, 1)[:, None]

    def copy_(self, other: 'ColumnMix') -> None:
        """Copy another mix into the tensors of this one, which captured CUDA graphs read."""
        self.from_source.copy_(other.from_source)
        self.from_target.copy_(other.from_target)

    def edited_maps(self, source: Tensor, target: Tensor) -> Tensor:
        """The edited maps themselves, from maps ``(N, heads, P, 77)`` of sources and ``(W * N, heads, P, 77)`` of targets."""
        own_share = self._per_row(self.from_target, target).transpose(-1, -2)
        return self.repeat_sources(source) @ self._per_row(self.from_source, target) + target * own_share
