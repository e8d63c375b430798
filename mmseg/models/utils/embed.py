"""Padding to whole strides ("SAME" in TensorFlow), exportable with H and W left open, and patch embedding."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import BaseModule
from mmengine.utils import to_2tuple
from torch import Tensor, nn

from mmseg.registry import MODELS


def pad_to_strides(
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    mode: str = 'same',
) -> Tensor:
    """Pad ``x`` (N, C, H, W) with zeros, for a convolution with ``ceil(side / stride)`` positions.

    Args:
        x: input of the convolution.
        kernel, stride, dilation: (height, width) of the convolution, the stride no larger than the kernel.
        mode: ``'same'`` pads on all sides, with an odd line on the right and bottom; ``'corner'`` pads on the right and
            bottom only.
    """
    if torch.compiler.is_compiling():
        return _pad_open_sides(x, kernel, stride, dilation, mode)
    pad = []
    for side, k, s, d in zip(x.shape[-2:], kernel, stride, dilation):
        total = max((k - 1) * d - (side - 1) % s, 0)
        before = total // 2 if mode == 'same' else 0
        pad = [before, total - before, *pad]
    return F.pad(x, pad) if any(pad) else x


def _pad_open_sides(x: Tensor, kernel: tuple, stride: tuple, dilation: tuple, mode: str) -> Tensor:
    """:func:`pad_to_strides` for an export that leaves sides open, without a branch on their length.

    Every side gets the largest padding that it can need. Superfluous zeros at the end add no position to the
    convolution; those at the beginning are removed by an index.
    """
    for dim, (k, s, d) in enumerate(zip(kernel, stride, dilation), start=2):
        side, reach = x.shape[dim], (k - 1) * d
        before = reach // 2 if mode == 'same' else 0
        skipped_most = before - (reach - s + 1) // 2 if mode == 'same' else 0
        x = F.pad(x, [0, 0] * (3 - dim) + [before, reach - before + skipped_most])
        if skipped_most:
            skipped = before - (reach - (side - 1) % s) // 2
            x = x.index_select(dim, torch.arange(side + reach, device=x.device) + skipped)
    return x


@MODELS.register_module()
class SamePadConv2d(nn.Conv2d):
    """``nn.Conv2d`` after :func:`pad_to_strides`; mmcv's ``Conv2dAdaptivePadding``, exportable."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        # ConvModule passes ``padding``; it is unused, since the padding follows from the size
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        x = pad_to_strides(x, self.kernel_size, self.stride, self.dilation)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class AdaptivePadding(nn.Module):
    """Pads a map (N, C, H, W) with zeros so that the kernel reaches every position; see :func:`pad_to_strides`.

    Args:
        kernel_size, stride, dilation: of the layer that follows; an integer or (height, width).
        padding: ``'corner'`` or ``'same'``.

    Raises:
        ValueError: another ``padding``.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        dilation: int | tuple[int, int] = 1,
        padding: str = 'corner',
    ) -> None:
        super().__init__()
        if padding not in ('same', 'corner'):
            raise ValueError(f"AdaptivePadding: padding is 'same' or 'corner', got {padding!r}")
        self.padding = padding
        self.kernel_size = to_2tuple(kernel_size)
        self.stride = to_2tuple(stride)
        self.dilation = to_2tuple(dilation)

    def forward(self, x: Tensor) -> Tensor:
        return pad_to_strides(x, self.kernel_size, self.stride, self.dilation, self.padding)


class PatchEmbed(BaseModule):
    """Patch embedding: an image's patches as tokens.

    Args:
        in_channels: of the image.
        embed_dims: channels of a token.
        conv_type: of the projection.
        kernel_size: side of a patch.
        stride: between patches; ``kernel_size`` if None.
        padding: ``'corner'`` or ``'same'``, see :func:`pad_to_strides`; a number is the convolution's.
        dilation: of the projection.
        bias: of the projection.
        norm_cfg: of the tokens.
        input_size: (height, width) of the images, from which ``init_out_size``, the grid of patches, follows; None: open.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 768,
        conv_type: str = 'Conv2d',
        kernel_size: int = 16,
        stride: int | None = None,
        padding: int | Sequence[int] | str = 'corner',
        dilation: int = 1,
        bias: bool = True,
        norm_cfg: dict | None = None,
        input_size: int | tuple[int, int] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if isinstance(padding, str) and padding not in ('corner', 'same'):
            raise ValueError(f"the padding of patches is 'corner', 'same' or a number, got {padding!r}")
        self.embed_dims = embed_dims
        self.pad_mode = padding if isinstance(padding, str) else None
        self.projection = build_conv_layer(
            dict(type=conv_type),
            in_channels=in_channels,
            out_channels=embed_dims,
            kernel_size=kernel_size,
            stride=stride or kernel_size,
            padding=0 if self.pad_mode else to_2tuple(padding),
            dilation=dilation,
            bias=bias,
        )
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1] if norm_cfg is not None else None
        self.init_input_size = self.init_out_size = None
        if input_size is not None:
            self.init_input_size = to_2tuple(input_size)
            self.init_out_size = self._grid(self.init_input_size)

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of an image of ``size``."""
        conv = self.projection
        if self.pad_mode:
            return tuple(-(-side // step) for side, step in zip(size, conv.stride))
        geometry = zip(size, conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        return tuple((side + 2 * pad - d * (k - 1) - 1) // step + 1 for side, k, step, pad, d in geometry)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (N, h * w, embed_dims) of an image (N, C, H, W), and (h, w)."""
        if self.pad_mode:
            conv = self.projection
            x = pad_to_strides(x, conv.kernel_size, conv.stride, conv.dilation, self.pad_mode)
        x = self.projection(x)
        size = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        return (x if self.norm is None else self.norm(x)), size


class PatchMerging(BaseModule):
    """Merge neighbouring tokens: each window of the map becomes one token (Liu et al., Swin Transformer, 2021, 3.1).

    Args:
        in_channels, out_channels: of the tokens.
        kernel_size, stride, dilation: of the windows; ``stride`` is ``kernel_size`` if None.
        padding: ``'corner'``, ``'same'`` or a number, as of :class:`PatchEmbed`.
        bias: of the projection.
        norm_cfg: norm of the windows before the projection; None for none.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 2,
        stride: int | tuple[int, int] | None = None,
        padding: int | Sequence[int] | str = 'corner',
        dilation: int | tuple[int, int] = 1,
        bias: bool = False,
        norm_cfg: dict | None = dict(type='LN'),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        window = to_2tuple(kernel_size)
        stride = to_2tuple(stride or kernel_size)
        dilation = to_2tuple(dilation)
        self.adap_padding = None
        if isinstance(padding, str):
            self.adap_padding = AdaptivePadding(window, stride, dilation, padding)
            padding = 0
        self.sampler = nn.Unfold(window, dilation=dilation, padding=to_2tuple(padding), stride=stride)
        width = window[0] * window[1] * in_channels
        self.norm = build_norm_layer(norm_cfg, width)[1] if norm_cfg is not None else None
        self.reduction = nn.Linear(width, out_channels, bias=bias)

    def forward(self, x: Tensor, input_size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Tokens (N, h * w, out_channels) and (h, w), of tokens (N, H * W, in_channels) and ``input_size`` (H, W).

        Raises:
            ValueError: the tokens are not H * W.
        """
        height, width = input_size
        if x.shape[1] != height * width:
            raise ValueError(f'PatchMerging: {x.shape[1]} tokens for a map of {height} x {width}')
        x = x.transpose(1, 2).unflatten(2, (height, width))
        if self.adap_padding is not None:
            x = self.adap_padding(x)
        unfold = self.sampler
        geometry = zip(x.shape[2:], unfold.kernel_size, unfold.stride, unfold.padding, unfold.dilation)
        size = tuple((side + 2 * pad - d * (k - 1) - 1) // step + 1 for side, k, step, pad, d in geometry)
        x = unfold(x).transpose(1, 2)
        return self.reduction(x if self.norm is None else self.norm(x)), size
