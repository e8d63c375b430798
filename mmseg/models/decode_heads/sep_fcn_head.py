"""Fast-SCNN's classifier. Poudel, Liwicki and Cipolla, Fast-SCNN, BMVC 2019, section 3.2.4."""

from mmcv.cnn import DepthwiseSeparableConvModule
from torch import nn

from mmseg.registry import MODELS

from .fcn_head import FCNHead


@MODELS.register_module()
class DepthwiseSeparableFCNHead(FCNHead):
    """:class:`FCNHead` with depthwise separable convolutions.

    Args:
        dw_act_cfg: activation between depthwise and pointwise convolution, None for none.
        kwargs: of :class:`FCNHead` (at least one convolution).
    """

    def __init__(self, dw_act_cfg: dict | None = None, **kwargs) -> None:
        self._dw_act_cfg = dw_act_cfg  # plain data, read by _conv while the base class builds its layers
        super().__init__(**kwargs)

    def _conv(self, in_channels: int, out_channels: int, **kwargs) -> nn.Module:
        # neither conv_cfg nor act_cfg nor dilation: upstream's separable layers leave the defaults, and
        # published weights are trained so
        return DepthwiseSeparableConvModule(
            in_channels,
            out_channels,
            kernel_size=self.kernel_size,
            padding=self.kernel_size // 2,
            norm_cfg=self.norm_cfg,
            dw_act_cfg=self._dw_act_cfg,
        )
