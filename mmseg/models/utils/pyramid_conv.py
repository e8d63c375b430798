"""The convolution of a map and enlarged small ones, without enlarging them; for inference."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .wrappers import interpolation_matrix

KERNEL = (3, 3)


class PyramidConv(nn.Module):
    """What a 3 x 3 ``ConvModule`` computes of ``cat([x, *enlarged maps])``.

    Convolution and bilinear interpolation are linear, so a small map is multiplied by the nine weights of the kernel
    first, and the products are enlarged and added. In PSPNet that saves half of the multiplications.

    Args:
        module: the convolution of zero padding 1, with norm and activation.
        channels: of ``x``.
        align_corners: of the interpolation.
    """

    def __init__(self, module: ConvModule, channels: int, align_corners: bool) -> None:
        super().__init__()
        whole = module.conv
        if (
            whole.kernel_size != KERNEL
            or whole.padding != (1, 1)
            or whole.stride != (1, 1)
            or whole.groups != 1
        ):
            raise ValueError(f'PyramidConv: expected a 3 x 3 convolution with padding 1, got {whole}')
        self.align_corners = align_corners
        self.conv = nn.Conv2d(channels, whole.out_channels, 3, padding=1, bias=whole.bias is not None)
        self.conv.weight.data = whole.weight.data[:, :channels].contiguous()
        if whole.bias is not None:
            self.conv.bias = whole.bias
        self.register_buffer('weight', whole.weight.data[:, channels:].permute(2, 3, 0, 1).contiguous())
        self.norm = module.norm if module.with_norm else nn.Identity()
        self.activate = module.activate if module.with_activation else nn.Identity()

    def forward(self, x: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """(N, channels, H, W) and maps (N, c, h, w) to (N, out_channels, H, W)."""
        result = self.conv(x)
        for one, weight in zip(maps, self.weight.split([one.shape[1] for one in maps], dim=3)):
            result = result + self._of_enlarged(one, weight, x.shape[2:])
        return self.activate(self.norm(result))

    def _of_enlarged(self, x: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
        """The convolution of a map (N, c, h, w) enlarged to ``size`` with a weight (3, 3, out_channels, c)."""
        rows, columns = (
            self._shifted(source, target, x).flatten(1) for source, target in zip(x.shape[2:], size)
        )
        # (N, 3 h, out_channels, 3 w): rows and columns of the kernel beside those of the map
        products = torch.einsum('ncij,aboc->naiobj', x, weight).flatten(4, 5).flatten(1, 2)
        lines = (rows @ products.flatten(2)).unflatten(2, products.shape[2:])
        return (lines @ columns.T).transpose(1, 2)

    def _shifted(self, source: int, target: int, x: Tensor) -> Tensor:
        """The interpolation matrix (target, 3, source) as each place of the kernel sees it, 0 in the padding."""
        matrix = interpolation_matrix(source, target, self.align_corners, x.dtype, x.device)
        padded = nn.functional.pad(matrix, (0, 0, 1, 1))
        return torch.stack([padded[start : start + target] for start in range(3)], dim=1)
