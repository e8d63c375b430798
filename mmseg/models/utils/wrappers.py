"""Interpolation with a warning where ``align_corners`` shifts features, and with a fast gradient."""

import warnings
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Up to this side of the input the gradient by matrix products is faster than PyTorch's on a CPU.
MATRIX_SIDE = 128


@lru_cache(maxsize=64)
def interpolation_matrix(
    source: int, target: int, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The matrix (target, source) that interpolates a line of pixels linearly, as ``F.interpolate`` does."""
    lines = torch.eye(source, dtype=dtype, device=device)[None]
    return F.interpolate(lines, target, mode='linear', align_corners=align_corners)[0].T.contiguous()


class BilinearResize(torch.autograd.Function):
    """``F.interpolate(x, size, mode='bilinear')`` whose gradient is two matrix products.

    Bilinear interpolation is ``R x C^T`` with one matrix for the rows and one for the columns, so the gradient is
    ``R^T g C``. PyTorch scatters the gradient, on a GPU by atomic additions, many of which go to one pixel when an
    input is enlarged a lot. The products are faster there, and deterministic.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
        """Enlarge or shrink ``x`` of shape (N, C, H, W) to (N, C, *size)."""
        ctx.sides, ctx.size, ctx.align_corners = tuple(x.shape[-2:]), size, align_corners
        return F.interpolate(x, size, mode='bilinear', align_corners=align_corners)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Sum the gradient of each input pixel, in float32 at least."""
        dtype = torch.promote_types(grad.dtype, torch.float32)
        rows, columns = (
            interpolation_matrix(source, target, ctx.align_corners, dtype, grad.device)
            for source, target in zip(ctx.sides, ctx.size)
        )
        return (rows.T @ (grad.to(dtype) @ columns)).to(grad.dtype), None, None


def resize(
    input: Tensor,
    size: tuple[int, int] | None = None,
    scale_factor: float | None = None,
    mode: str = 'nearest',
    align_corners: bool | None = None,
    warning: bool = True,
) -> Tensor:
    """``F.interpolate`` of a tensor (N, C, H, W); returns the input itself if it has the size already.

    With ``align_corners=True`` and ``warning=True`` it warns if a side of the output isn't
    ``k * (input - 1) + 1``: corners are aligned then, but the pixels between them are shifted.
    """
    if size is not None and torch.compiler.is_compiling():
        size = tuple(size)  # sides may be symbolic: comparing or converting them would make them constant
    elif size is not None:
        size = tuple(int(side) for side in size)
        if warning and align_corners:
            in_h, in_w = (int(side) for side in input.shape[-2:])
            out_h, out_w = size
            grows = (out_h > in_h or out_w > in_w) and min(in_h, in_w, out_h, out_w) > 1
            if grows and ((out_h - 1) % (in_h - 1) or (out_w - 1) % (in_w - 1)):
                warnings.warn(
                    f'align_corners=True keeps features aligned when the input is x + 1 and the output n * x + 1; '
                    f'here {(in_h, in_w)} becomes {size}',
                    stacklevel=2,
                )
        if tuple(input.shape[-2:]) == size and input.is_floating_point():
            return input
        needs_gradient = input.requires_grad and torch.is_grad_enabled() and not torch.jit.is_tracing()
        if (
            needs_gradient
            and mode == 'bilinear'
            and scale_factor is None
            and max(input.shape[-2:]) <= MATRIX_SIDE
        ):
            return BilinearResize.apply(input, size, bool(align_corners))
    return F.interpolate(input, size, scale_factor, mode, align_corners)


class Upsample(nn.Module):
    """:func:`resize` as a module, by a fixed size or a fixed factor."""

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = 'nearest',
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        """Resize ``x`` of shape (N, C, H, W)."""
        if self.size:
            return resize(x, self.size, None, self.mode, self.align_corners)
        factors = self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor,) * 2
        # whole factors as integers: sides that an export leaves open stay so
        size = [
            side * int(factor) if factor.is_integer() else int(side * factor)
            for side, factor in zip(x.shape[-2:], factors)
        ]
        return resize(x, size, None, self.mode, self.align_corners)
