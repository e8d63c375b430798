"""Feature pyramid. Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017, figure 3."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize

_EXTRA_SOURCES = ('on_input', 'on_lateral', 'on_output')


@MODELS.register_module()
class FPN(BaseModule):
    """Lateral projections summed from the top down, then smoothed.

    Args:
        in_channels: of the inputs.
        out_channels: of every output.
        num_outs: number of outputs; if larger than the number of inputs, extra levels are added.
        start_level, end_level: the range of inputs used; ``end_level=-1`` means all to the last.
        add_extra_convs: how extra levels are made: False by max-pooling the last output; ``'on_input'``
            (or True), ``'on_lateral'``, ``'on_output'`` by stride-2 convolutions from there.
        extra_convs_on_inputs: upstream's older switch; with ``add_extra_convs=True``, False means
            ``'on_output'``.
        relu_before_extra_convs: ReLU before each extra convolution but the first.
        no_norm_on_lateral: leave ``norm_cfg`` out of the lateral convolutions.
        conv_cfg, norm_cfg, act_cfg, init_cfg: as everywhere in mmcv.
        upsample_cfg: of the top-down resize.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        extra_convs_on_inputs: bool = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        upsample_cfg: dict = dict(mode='nearest'),
        init_cfg: dict | list[dict] | None = dict(type='Xavier', layer='Conv2d', distribution='uniform'),
    ) -> None:
        super().__init__(init_cfg)
        levels = len(in_channels)
        stop = levels if end_level == -1 else end_level
        if not 0 <= start_level < stop <= levels:
            raise ValueError(f"FPN: levels {start_level} to {end_level} don't lie within {levels} inputs")
        used = stop - start_level
        if num_outs < used or (end_level != -1 and num_outs != used):
            raise ValueError(f'FPN: {used} inputs are used, which num_outs={num_outs} does not fit')
        if isinstance(add_extra_convs, str) and add_extra_convs not in _EXTRA_SOURCES:
            raise ValueError(
                f'FPN: add_extra_convs is a bool or one of {_EXTRA_SOURCES}, got {add_extra_convs!r}'
            )
        if add_extra_convs is True:
            add_extra_convs = 'on_input' if extra_convs_on_inputs else 'on_output'
        self.in_channels = tuple(in_channels)
        self.start_level, self.backbone_end_level = start_level, stop
        self.num_outs = num_outs
        self.add_extra_convs = add_extra_convs
        self.relu_before_extra_convs = relu_before_extra_convs
        self.upsample_cfg = dict(upsample_cfg)
        common = dict(conv_cfg=conv_cfg, act_cfg=act_cfg, inplace=False)
        lateral_norm = None if no_norm_on_lateral else norm_cfg
        self.lateral_convs = nn.ModuleList(
            ConvModule(width, out_channels, 1, norm_cfg=lateral_norm, **common)
            for width in in_channels[start_level:stop]
        )
        smooth = dict(kernel_size=3, padding=1, norm_cfg=norm_cfg, **common)
        self.fpn_convs = nn.ModuleList(ConvModule(out_channels, out_channels, **smooth) for _ in range(used))
        if add_extra_convs:
            for i in range(num_outs - used):
                width = in_channels[stop - 1] if i == 0 and add_extra_convs == 'on_input' else out_channels
                self.fpn_convs.append(ConvModule(width, out_channels, stride=2, **smooth))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """``num_outs`` outputs (N, out_channels, h, w), shallow to deep."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'FPN: built for {len(self.in_channels)} inputs, got {len(inputs)}')
        used = inputs[self.start_level : self.backbone_end_level]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used)]
        for i in range(len(laterals) - 1, 0, -1):
            laterals[i - 1] = laterals[i - 1] + self._upsample(laterals[i], laterals[i - 1].shape[2:])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
        if not self.add_extra_convs:
            while len(outs) < self.num_outs:
                outs.append(F.max_pool2d(outs[-1], 1, stride=2))
            return tuple(outs)
        x = dict(on_input=used[-1], on_lateral=laterals[-1], on_output=outs[-1])[self.add_extra_convs]
        for i, conv in enumerate(self.fpn_convs[len(used) :]):
            outs.append(conv(x.relu() if i and self.relu_before_extra_convs else x))
            x = outs[-1]
        return tuple(outs)

    def _upsample(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if 'scale_factor' in self.upsample_cfg:
            return resize(x, **self.upsample_cfg)
        return resize(x, size=size, **self.upsample_cfg)
