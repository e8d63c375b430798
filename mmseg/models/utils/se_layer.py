"""Squeeze-and-excitation. Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, section 3."""

import warnings

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .make_divisible import make_divisible


class SELayer(nn.Module):
    """Scale each channel by a gate computed from the means of all channels.

    Args:
        channels: of the input.
        ratio: the hidden layer has ``channels / ratio`` channels, rounded to a multiple of 8.
        conv_cfg: of the two 1x1 convolutions.
        act_cfg: one activation for both convolutions, or a pair, one each.
    """

    def __init__(
        self,
        channels: int,
        ratio: int = 16,
        conv_cfg: dict | None = None,
        act_cfg: dict | tuple[dict, dict] = (
            dict(type='ReLU'),
            dict(type='HSigmoid', bias=3.0, divisor=6.0),
        ),
    ) -> None:
        super().__init__()
        first_act, second_act = (act_cfg, act_cfg) if isinstance(act_cfg, dict) else act_cfg
        hidden = make_divisible(channels // ratio, 8)
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1 = ConvModule(channels, hidden, 1, conv_cfg=conv_cfg, act_cfg=first_act)
        with warnings.catch_warnings():
            # mmcv's HSigmoid warns about a changed default, even if its arguments are given
            warnings.simplefilter('ignore', UserWarning)
            self.conv2 = ConvModule(hidden, channels, 1, conv_cfg=conv_cfg, act_cfg=second_act)

    def forward(self, x: Tensor) -> Tensor:
        """Gate ``x`` of shape (N, C, H, W)."""
        return x * self.conv2(self.conv1(self.global_avgpool(x)))
