"""Rotary positions of DINOv3, computed on the device of the model. Siméoni et al., DINOv3, 2025, section 3.2."""

import math

import torch
from torch import Tensor, nn


class DeviceRope(nn.Module):
    """What timm's ``RotaryEmbeddingDinoV3`` computes, without its copy from the host and for open sizes in exports.

    Args:
        periods: of the angles, (dim / 4,).
        rotate_half: whether sines and cosines are repeated as a whole; else each value.
    """

    def __init__(self, periods: Tensor, rotate_half: bool) -> None:
        super().__init__()
        self.register_buffer('periods', periods, persistent=False)
        self.rotate_half = rotate_half

    def get_embed(self, shape: tuple[int, int], dtype: torch.dtype | None = None) -> Tensor:
        """Sines and cosines (H * W, 2 * dim) of a grid of H x W patches, whose centres lie within -1 and 1."""
        rows, columns = (self._centres(side) for side in shape)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing='ij'), dim=-1).flatten(0, 1)
        angles = (2 * math.pi * grid[:, :, None] / self.periods).flatten(1)
        both = [self._repeated(angles.sin()), self._repeated(angles.cos())]
        return torch.cat(both, dim=-1).to(dtype or self.periods.dtype)

    def _centres(self, side: int) -> Tensor:
        ordinals = torch.arange(side, device=self.periods.device, dtype=self.periods.dtype)
        return (ordinals + 0.5) / side * 2 - 1

    def _repeated(self, values: Tensor) -> Tensor:
        return (
            torch.cat([values, values], dim=-1) if self.rotate_half else values.repeat_interleave(2, dim=-1)
        )


def put_rope_on_device(model: nn.Module) -> None:
    """Replace the rotary positions of a timm model that are DINOv3's, in place; others stay.

    Those with random shifts in training stay, too.
    """
    rope = getattr(model, 'rope', None)
    usual = dict(normalize_coords='separate', grid_indexing='ij', grid_offset=0.0, aug_active=False)
    if type(rope).__name__ == 'RotaryEmbeddingDinoV3' and all(
        getattr(rope, name, None) == value for name, value in usual.items()
    ):
        model.rope = DeviceRope(rope.periods, rope.rotate_half)
