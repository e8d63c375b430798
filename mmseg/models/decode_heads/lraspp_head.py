"""LR-ASPP. Howard et al., Searching for MobileNetV3, ICCV 2019, section 6.4 and figure 10."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead


def _windows(length: int, window: int, stride: int, like: Tensor) -> tuple[Tensor, int]:
    """Membership (length, count) of positions in windows, as 0 and 1, and the number of positions per window."""
    # not ``length - min(window, length)``: from this form an export infers that sides up to 512 have one window
    count = torch.sym_max(length - window, 0) // stride + 1
    window = torch.sym_min(window, length)
    start = torch.arange(count, device=like.device) * stride
    position = torch.arange(length, device=like.device).unsqueeze(1)
    return ((position >= start) & (position < start + window)).to(like.dtype), window


class ClampedAvgPool2d(nn.Module):
    """Average pooling whose window is never larger than the input.

    The published window of 49 x 49 positions needs an image of at least 392 pixels a side at output
    stride 8; for smaller ones the window is the whole map. It is computed as sums with weights 0 and 1, which
    can be exported with H and W left open.
    """

    def __init__(self, kernel_size: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, (H - window) // stride + 1, …)."""
        in_row, rows = _windows(x.shape[2], self.kernel_size[0], self.stride[0], x)
        in_column, columns = _windows(x.shape[3], self.kernel_size[1], self.stride[1], x)
        # Divided after each product, so that half-precision sums stay in range.
        x = torch.matmul(in_row.t(), x) / rows
        # not a matrix product: with one column it checks strides, which fails for an open width
        return (x.unsqueeze(-1) * in_column).sum(dim=-2) / columns


@MODELS.register_module()
class LRASPPHead(BaseDecodeHead):
    """Features gated by large-window pooling, then upsampled and concatenated with shallower ones.

    Args:
        branch_channels: channels of each shallow input after projection; one entry fewer than inputs.
        kwargs: of :class:`BaseDecodeHead`, with ``input_transform='multiple_select'`` and the inputs from
            shallow to deep.
    """

    def __init__(self, branch_channels: Sequence[int] = (32, 64), **kwargs) -> None:
        super().__init__(**kwargs)
        if self.input_transform != 'multiple_select':
            raise ValueError(
                f"LRASPPHead: input_transform is 'multiple_select', got {self.input_transform!r}"
            )
        if len(branch_channels) != len(self.in_channels) - 1:
            raise ValueError(
                f'LRASPPHead: branch_channels has one entry less than in_channels, got {list(branch_channels)} '
                f'for {list(self.in_channels)}'
            )
        common = dict(kernel_size=1, bias=False)
        normed = dict(**common, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.branch_channels = tuple(branch_channels)
        self.convs = nn.Sequential()
        self.conv_ups = nn.Sequential()
        for i, (w_in, width) in enumerate(zip(self.in_channels, branch_channels)):
            self.convs.add_module(f'conv{i}', nn.Conv2d(w_in, width, **common))
            self.conv_ups.add_module(
                f'conv_up{i}', ConvModule(self.channels + width, self.channels, **normed)
            )
        self.conv_up_input = nn.Conv2d(self.channels, self.channels, 1)
        self.aspp_conv = ConvModule(self.in_channels[-1], self.channels, **normed)
        self.image_pool = nn.Sequential(
            ClampedAvgPool2d(kernel_size=(49, 49), stride=(16, 20)),
            ConvModule(self.in_channels[-1], self.channels, act_cfg=dict(type='Sigmoid'), **common),
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits at the size of the shallowest input."""
        *shallow, x = self._transform_inputs(inputs)
        gate = resize(self.image_pool(x), x.shape[2:], mode='bilinear', align_corners=self.align_corners)
        x = self.conv_up_input(self.aspp_conv(x) * gate)
        for i in reversed(range(len(shallow))):
            x = self._join(i, x, shallow[i])
        return self.cls_seg(x)

    def _join(self, i: int, x: Tensor, shallow: Tensor) -> Tensor:
        """``conv_ups[i]`` of the enlarged ``x`` and the projected ``shallow``, at the size of ``shallow``.

        A convolution of 1 x 1 without bias commutes with the bilinear resize and is the sum of those of its groups of
        input channels. So ``x`` is convolved before it is enlarged, and ``shallow`` by one matrix instead of two.
        """
        conv_up = self.conv_ups[i]
        of_x, of_shallow = conv_up.conv.weight.split([self.channels, self.branch_channels[i]], dim=1)
        matrix = of_shallow.flatten(1) @ self.convs[i].weight.flatten(1)
        x = resize(F.conv2d(x, of_x), shallow.shape[2:], mode='bilinear', align_corners=self.align_corners)
        x = x + F.conv2d(shallow, matrix[:, :, None, None], conv_up.conv.bias)
        x = conv_up.norm(x) if conv_up.with_norm else x
        return conv_up.activate(x) if conv_up.with_activation else x
