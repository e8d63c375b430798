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
        self._dw_act_cfg = dw_act_cfg  # before super(): the base class calls _conv
        super().__init__(**kwargs)

    def _conv(self, in_channels: int, out_channels: int, **kwargs) -> nn.Module:
        # without conv_cfg, act_cfg and dilation, as in upstream, whose published weights were trained so
        return DepthwiseSeparableConvModule(
            in_channels,
            out_channels,
            kernel_size=self.kernel_size,
            padding=self.kernel_size // 2,
            norm_cfg=self.norm_cfg,
            dw_act_cfg=self._dw_act_cfg,
        )
