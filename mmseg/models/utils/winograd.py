"""Wide 3 x 3 convolutions with fewer multiplications, for inference on a CPU.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016: F(4 x 4, 3 x 3). A tile of 6 x 6 inputs
gives 4 x 4 outputs with 36 multiplications per pair of channels in place of 144, as products of matrices.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE, KERNEL = 4, 3
PATCH = TILE + KERNEL - 1
#: Below this number of channels the transforms take as long as they save.
FEWEST_CHANNELS = 256
#: With a larger one, most of the tiles would lie in the padding.
DILATIONS = ((1, 1), (2, 2), (3, 3), (4, 4))
#: Values of transformed patches at a time, 64 MiB.
CHUNK = 2**24

# section 4.3: of the patch, the kernel and the product, for the points 0, 1, -1, 2, -2 and infinity
_PATCH = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_PRODUCT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def suits(module: nn.Module) -> bool:
    """Whether a module is a convolution that :class:`WinogradConv2d` computes, and wide enough to gain."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (KERNEL, KERNEL)
        and module.stride == (1, 1)
        and module.groups == 1
        and module.padding == module.dilation
        and module.dilation in DILATIONS
        and module.padding_mode == 'zeros'
        and min(module.in_channels, module.out_channels) >= FEWEST_CHANNELS
        and module.weight.dtype == torch.float32
    )


def _both_axes(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """The transform of flattened squares whose rows and columns are transformed by ``matrix``."""
    one = torch.tensor(matrix, dtype=torch.float32)
    return torch.kron(one, one)


def replace(part: nn.Module) -> nn.Module:
    """Replace the convolutions of a module that suit, in place, and return it."""
    for module in list(part.modules()):
        for name, child in list(module.named_children()):
            if suits(child):
                setattr(module, name, WinogradConv2d(child))
    return part


class WinogradConv2d(nn.Module):
    """A 3 x 3 convolution of stride 1 that keeps the size of the map; the result differs by rounding, about 5e-5.

    Its weights take four times the memory. A dilated convolution is that of the grids of every ``dilation``-th pixel.

    Args:
        conv: what it computes, see :func:`suits`.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.dilation = conv.dilation[0]
        weight = conv.weight.detach().flatten(2).permute(2, 1, 0)
        weight = _both_axes(_KERNEL) @ weight.flatten(1)
        self.register_buffer('weight', weight.view(PATCH**2, conv.in_channels, conv.out_channels))
        self.register_buffer('bias', None if conv.bias is None else conv.bias.detach().clone())
        self.register_buffer('patch', _both_axes(_PATCH), persistent=False)
        self.register_buffer('product', _both_axes(_PRODUCT), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, H, W)."""
        n, channels, height, width = x.shape
        step = TILE * self.dilation
        rows, columns = -(-height // step), -(-width // step)
        patches = self._patches(x, rows, columns)
        at_once = max(1, CHUNK // (PATCH**2 * n * columns * self.dilation**2 * channels))
        result = x.new_empty(n, self.weight.shape[2], rows * step, columns * step)
        for top in range(0, rows, at_once):
            part = self._tiles(patches[:, top : top + at_once])
            result[:, :, top * step : top * step + part.shape[2]] = part
        result = result[:, :, :height, :width]
        return result if self.bias is None else result + self.bias.view(-1, 1, 1)

    def _patches(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """A view (N, rows, d, columns, d, C, 6, 6) of the padded map: tiles of the d x d grids of every d-th pixel."""
        d = self.dilation
        below, right = rows * TILE * d - x.shape[2] + d, columns * TILE * d - x.shape[3] + d
        # with the channels last in memory, patches are copied in long runs
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, d, right, d, below))
        grids = x.unflatten(1, (-1, d)).unflatten(3, (-1, d))
        return grids.unfold(1, PATCH, TILE).unfold(3, PATCH, TILE)

    def _tiles(self, patches: Tensor) -> Tensor:
        """The result (N, out_channels, height, width) of some rows of patches."""
        n, rows, d, columns, _, channels = patches.shape[:6]
        values = patches.permute(6, 7, 0, 1, 2, 3, 4, 5).reshape(PATCH**2, -1)
        values = (self.patch @ values).view(PATCH**2, -1, channels) @ self.weight
        values = (self.product @ values.flatten(1)).view(TILE, TILE, n, rows, d, columns, d, -1)
        # rows are (tile, place in it, grid)
        values = values.permute(2, 7, 3, 0, 4, 5, 1, 6)
        return values.reshape(n, -1, rows * TILE * d, columns * TILE * d)
