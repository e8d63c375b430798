"""Dilated depthwise convolutions as undilated ones of every d-th pixel, for which GPUs have quick kernels."""

import torch.nn.functional as F
from torch import Tensor, nn

from .embed import SamePadConv2d


def conv_of_phases(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """The depthwise convolution of stride 1, dilated and padded to keep the size.

    With dilation d, an output depends on every d-th row and column only. Each of the d² phases is an image of its own,
    which is convolved without dilation; its border of zeros is that of the image.

    Args:
        x: (N, C, H, W).
        weight: (C, 1, k, k), k odd.
        bias: (C,) or None.
        dilation: d, the same in both directions.

    Returns:
        (N, C, H, W), in the memory layout with the channels last.
    """
    count, channels, height, width = x.shape
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -width % dilation, 0, -height % dilation))
    rows, columns = x.shape[1] // dilation, x.shape[2] // dilation
    x = x.reshape(count, rows, dilation, columns, dilation, channels).permute(0, 2, 4, 1, 3, 5)
    x = x.reshape(count * dilation**2, rows, columns, channels).permute(0, 3, 1, 2)
    x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=channels)
    x = x.permute(0, 2, 3, 1).reshape(count, dilation, dilation, rows, columns, channels)
    x = x.permute(0, 3, 1, 4, 2, 5).reshape(count, rows * dilation, columns * dilation, channels)
    return x[:, :height, :width].permute(0, 3, 1, 2)


class _InPhases:
    """Mixin of a convolution: on a GPU it is :func:`conv_of_phases`, elsewhere it is computed as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W)."""
        if x.is_cuda:
            return conv_of_phases(x, self.weight, self.bias, self.dilation[0])
        return super().forward(x)


class DilatedDepthwiseConv2d(_InPhases, nn.Conv2d):
    """A depthwise ``nn.Conv2d`` of stride 1, dilated and padded to keep the size."""


class DilatedDepthwiseSamePadConv2d(_InPhases, SamePadConv2d):
    """A depthwise :class:`.embed.SamePadConv2d` of stride 1, dilated."""


def dilate_depthwise(conv: nn.Conv2d, dilation: int) -> None:
    """Replace the stride of a depthwise convolution by a dilation, which keeps the resolution; in place.

    Args:
        conv: of an odd square kernel.
        dilation: its new dilation.
    """
    # the object itself: building another one would draw other initial weights for all that follows
    conv.__class__ = (
        DilatedDepthwiseSamePadConv2d if isinstance(conv, SamePadConv2d) else DilatedDepthwiseConv2d
    )
    conv.stride = (1, 1)
    conv.dilation = (dilation, dilation)
    if not isinstance(conv, SamePadConv2d):  # it computes its padding itself
        padding = dilation * (conv.kernel_size[0] - 1) // 2
        conv.padding = (padding, padding)
