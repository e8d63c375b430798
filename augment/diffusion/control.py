"""Prompt-to-prompt as factors on values: what an edit does to the attention maps of its target.

Attention is linear in its values, so taking over, permuting or scaling columns of a cross-attention map equals
mixing the 77 value vectors first, and no map has to be written to memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from augment.config import AugmentConfig
from augment.diffusion.local_blend import LocalBlend
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


@dataclass(eq=False)
class AttentionControl:
    """Prompt-to-prompt on the last ``2 * images`` rows of a batch: sources, then targets.

    Attributes:
        images: N, the number of pairs.
        mix: Edit of the cross-attention maps.
        self_max_positions: Self-attention maps of more positions are never replaced.
        local_blend: Collects the word's maps, where LocalBlend is on.
        cross: Whether cross-attention is edited at this step.
        self_attention: Whether self-attention is replaced at this step.
    """

    images: int
    mix: ColumnMix
    self_max_positions: int = AugmentConfig.self_max_positions
    local_blend: LocalBlend | None = None
    cross: bool = False
    self_attention: bool = False

    def phase(self) -> tuple:
        """What the control does at this step, for the key of a captured graph."""
        return self.cross, self.self_attention, self.self_max_positions, self.local_blend is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Plain attention inside the block, for a pass without conditional rows."""
        before = self.cross, self.self_attention, self.local_blend
        self.cross, self.self_attention, self.local_blend = False, False, None
        try:
            yield
        finally:
            self.cross, self.self_attention, self.local_blend = before

    def rows(self, batch: int) -> tuple[slice, slice]:
        """The source rows and the target rows of a batch of ``batch`` rows."""
        return slice(batch - 2 * self.images, batch - self.images), slice(batch - self.images, batch)

    def conditional(self, values: Tensor) -> Tensor:
        """The source and target rows of ``values (R, ...)``: the last 2N."""
        return values[len(values) - 2 * self.images :]
