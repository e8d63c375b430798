"""Head of Semantic FPN. Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019, section 3.1."""

from collections.abc import Sequence

import numpy as np
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import Upsample, resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class FPNHead(BaseDecodeHead):
    """Convolve and enlarge each level of a feature pyramid to the size of the first, and classify their sum.

    Args:
        feature_strides: of the inputs, the smallest first; each is a power of two times the first.
        kwargs: of :class:`BaseDecodeHead`; ``input_transform`` is ``'multiple_select'``.

    Raises:
        ValueError: there is not one stride per input, or the first one is not the smallest.
    """

    def __init__(self, feature_strides: Sequence[int], **kwargs) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        if len(feature_strides) != len(self.in_channels) or min(feature_strides) != feature_strides[0]:
            raise ValueError(
                f'FPNHead: feature_strides={list(feature_strides)}, expected {len(self.in_channels)} of them, one per '
                'input, the smallest first'
            )
        self.feature_strides = feature_strides
        self.scale_heads = nn.ModuleList(
            self._level(width, stride) for width, stride in zip(self.in_channels, feature_strides)
        )

    def _level(self, width: int, stride: int) -> nn.Sequential:
        """Convolutions from ``stride`` to that of the first input, each but of the first followed by a doubling."""
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        doublings = int(np.log2(stride) - np.log2(self.feature_strides[0]))
        layers = []
        for i in range(max(1, doublings)):
            layers.append(ConvModule(self.channels if i else width, self.channels, 3, padding=1, **common))
            if doublings:
                layers.append(Upsample(scale_factor=2, mode='bilinear', align_corners=self.align_corners))
        return nn.Sequential(*layers)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        levels = [head(x) for head, x in zip(self.scale_heads, self._transform_inputs(inputs))]
        size = levels[0].shape[2:]
        total = levels[0]
        for level in levels[1:]:
            total = total + resize(level, size, mode='bilinear', align_corners=self.align_corners)
        return self.cls_seg(total)
