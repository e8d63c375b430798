"""The linear head of DINOv2. Oquab et al., DINOv2, TMLR 2024, section 7.4."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from torch import Tensor

from mmseg.registry import MODELS

from .decode_head import BaseDecodeHead


@MODELS.register_module()
class BNHead(BaseDecodeHead):
    """A batch norm and a linear classifier of the concatenated inputs, with the ``state_dict`` of DINOv2's heads.

    Args:
        in_channels, in_index: of the inputs.
        norm_cfg: of the norm.
        dropout_ratio: before the classifier.
        kwargs: of :class:`BaseDecodeHead`, without ``channels``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        in_index: int | Sequence[int] = -1,
        norm_cfg: dict = dict(type='SyncBN'),
        dropout_ratio: float = 0.0,
        **kwargs,
    ) -> None:
        several = isinstance(in_channels, (list, tuple))
        channels = sum(in_channels) if several else in_channels
        kwargs['channels'] = channels  # the classifier's input is the norm's output
        kwargs.setdefault('input_transform', 'resize_concat' if several else None)
        super().__init__(
            in_channels, in_index=in_index, norm_cfg=norm_cfg, dropout_ratio=dropout_ratio, **kwargs
        )
        self.bn = build_norm_layer(norm_cfg, channels)[1]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self.bn(self._transform_inputs(inputs)))
