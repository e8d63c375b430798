"""A stage of a ResNet: residual blocks, the first of which changes resolution and channels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import Sequential
from torch import Tensor, nn


class ShortcutPool(nn.AvgPool2d):
    """Average pooling by a stride to the size that a convolution of that stride has."""

    def __init__(self, stride: int) -> None:
        super().__init__(stride, stride, ceil_mode=True, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() and self.stride == 2:
            # The same, but an export can prove its size for all sides: a last window of one pixel is that pixel twice.
            return F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode='replicate'), 2, 2)
        return super().forward(x)


def _shortcut(
    inplanes: int, outplanes: int, stride: int, avg_down: bool, conv_cfg: dict | None, norm_cfg: dict
) -> nn.Sequential:
    """Projection of a shortcut; ``avg_down`` pools before it (ResNet-D of He et al., CVPR 2019)."""
    layers = []
    if avg_down:
        layers.append(ShortcutPool(stride))
        stride = 1
    layers.append(build_conv_layer(conv_cfg, inplanes, outplanes, kernel_size=1, stride=stride, bias=False))
    layers.append(build_norm_layer(norm_cfg, outplanes)[1])
    return nn.Sequential(*layers)


class ResLayer(Sequential):
    """``num_blocks`` residual blocks, (N, inplanes, H, W) to (N, planes * block.expansion, H/stride, W/stride).

    Args:
        block: class of the blocks.
        inplanes: channels of the input.
        planes: channels inside the blocks.
        num_blocks: number of blocks.
        stride: of the first block.
        dilation: of the 3x3 convolutions.
        avg_down: average-pool instead of striding in the shortcut.
        conv_cfg, norm_cfg: as everywhere in mmcv.
        multi_grid: dilation of each block, instead of ``dilation`` (DeepLabV3, section 3.2.1).
        contract_dilation: halve the dilation of the first block if there is one, since its input still has the
            dilation of the previous stage. No effect with ``multi_grid``.
        kwargs: passed on to the blocks.
    """

    def __init__(
        self,
        block: type[nn.Module],
        inplanes: int,
        planes: int,
        num_blocks: int,
        stride: int = 1,
        dilation: int = 1,
        avg_down: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        **kwargs,
    ) -> None:
        if multi_grid is not None and len(multi_grid) < num_blocks:
            raise ValueError(
                f'multi_grid needs a dilation for each of {num_blocks} blocks, got {list(multi_grid)}'
            )
        self.block = block
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or inplanes != outplanes:
            downsample = _shortcut(inplanes, outplanes, stride, avg_down, conv_cfg, norm_cfg)

        dilations = [dilation] * num_blocks if multi_grid is None else list(multi_grid)
        if multi_grid is None and contract_dilation and dilation > 1:
            dilations[0] = dilation // 2
        common = dict(planes=planes, conv_cfg=conv_cfg, norm_cfg=norm_cfg, **kwargs)
        first = block(
            inplanes=inplanes, stride=stride, dilation=dilations[0], downsample=downsample, **common
        )
        rest = (
            block(inplanes=outplanes, stride=1, dilation=dilations[i], **common) for i in range(1, num_blocks)
        )
        super().__init__(first, *rest)
