"""Residual blocks of the networks with several branches, DDRNet and PIDNet, made of ``ConvModule``.

The blocks of ResNet are in ``mmseg.models.backbones.resnet_blocks``.
"""

from collections.abc import Callable

from mmcv.cnn import ConvModule, build_activation_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

_RELU = dict(type='ReLU', inplace=True)


class _Block(BaseModule):
    """A residual branch, a shortcut and an optional activation of their sum."""

    expansion: int

    def __init__(
        self,
        convs: list[ConvModule],
        downsample: nn.Module | None,
        act_cfg_out: dict | None,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        self._names = [f'conv{i}' for i in range(1, len(convs) + 1)]
        for name, conv in zip(self._names, convs):
            self.add_module(name, conv)
        self.downsample = downsample
        self.act = None if act_cfg_out is None else build_activation_layer(act_cfg_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels * expansion, H/stride, W/stride)."""
        out = x
        for name in self._names:
            out = getattr(self, name)(out)
        out = out + (x if self.downsample is None else self.downsample(x))
        return out if self.act is None else self.act(out)


class BasicBlock(_Block):
    """Two 3x3 convolutions.

    Args:
        in_channels, channels: of the input and the output.
        stride: of the first convolution.
        downsample: the shortcut; None: the input itself.
        norm_cfg, act_cfg: of the convolutions.
        act_cfg_out: activation of the output; None: none.
        init_cfg: weight initialisation.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = _RELU,
        act_cfg_out: dict | None = _RELU,
        init_cfg: dict | None = None,
    ) -> None:
        common = dict(kernel_size=3, padding=1, norm_cfg=norm_cfg)
        convs = [
            ConvModule(in_channels, channels, stride=stride, act_cfg=act_cfg, **common),
            ConvModule(channels, channels, act_cfg=None, **common),
        ]
        super().__init__(convs, downsample, act_cfg_out, init_cfg)


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions; the output has twice the channels. Arguments as of :class:`BasicBlock`."""

    expansion = 2

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = _RELU,
        act_cfg_out: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        convs = [
            ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg),
            ConvModule(channels, channels, 3, stride, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg),
            ConvModule(channels, channels * self.expansion, 1, norm_cfg=norm_cfg, act_cfg=None),
        ]
        super().__init__(convs, downsample, act_cfg_out, init_cfg)


def make_blocks(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    channels: int,
    count: int,
    stride: int,
    shortcut: Callable[[int, int, int], nn.Module],
    norm_cfg: dict | None,
    act_cfg: dict | None,
) -> list[BasicBlock | Bottleneck]:
    """``count`` blocks, the first of which changes size and channels; the last one's output is not activated.

    Args:
        block: class of the blocks.
        in_channels, channels: of the first block's input, and inside of all blocks.
        count: of blocks.
        stride: of the first block.
        shortcut: makes the first block's shortcut of channels before and after and of the stride, where they differ.
        norm_cfg, act_cfg: of the blocks.
    """
    out_channels = channels * block.expansion
    blocks = []
    for i in range(count):
        changes = i == 0 and (stride != 1 or in_channels != out_channels)
        active = block is BasicBlock and i < count - 1
        blocks.append(
            block(
                out_channels if i else in_channels,
                channels,
                1 if i else stride,
                shortcut(in_channels, out_channels, stride) if changes else None,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
                act_cfg_out=act_cfg if active else None,
            )
        )
    return blocks
