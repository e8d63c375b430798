"""Head of DDRNet. Hong et al., Deep Dual-resolution Networks, 2021, section 3.3."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..losses import accuracy
from ..utils.targets import GroundTruth, stack_gt
from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead


@MODELS.register_module()
class DDRHead(BaseDecodeHead):
    """A convolution and a classifier for the fused branches, and the same for the high-resolution branch in training.

    Args:
        in_channels: of the fused branches; the high-resolution branch has half of them.
        channels: before each classifier.
        num_classes: number of classes.
        norm_cfg, act_cfg: of the convolutions.
        spatial_weight: both branches have the loss, or the sum of losses, of ``loss_decode``, the high-resolution
            branch with this factor; None: ``loss_decode`` is a list of two, for the fused and the other branch.
        kwargs: of :class:`BaseDecodeHead`.

    Raises:
        ValueError: there are not two losses, without ``spatial_weight``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        spatial_weight: float | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            in_channels, channels, num_classes=num_classes, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs
        )
        if spatial_weight is None and len(self.losses) != 2:
            raise ValueError(
                'DDRHead: loss_decode is a list of two, for the fused branches and the high-resolution one; one for both '
                'needs spatial_weight, the factor of the second'
            )
        self.spatial_weight = spatial_weight
        self.head = self._features(in_channels)
        self.aux_head = self._features(in_channels // 2)
        self.aux_cls_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1)

    def _features(self, in_channels: int) -> nn.Sequential:
        conv = ConvModule(
            in_channels,
            self.channels,
            3,
            padding=1,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
            order=('norm', 'act', 'conv'),
        )
        norm = build_norm_layer(self.norm_cfg, self.channels)[1]
        return nn.Sequential(conv, norm, build_activation_layer(self.act_cfg))

    def _logits(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        spatial, fused = inputs
        return self.cls_seg(self.head(fused)), self.aux_cls_seg(self.aux_head(spatial))

    def forward(self, inputs: Sequence[Tensor] | Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, out_channels, h, w) of the fused branches; in training also of the high-resolution branch."""
        if self.training:
            return self._logits(inputs)
        return self.cls_seg(self.head(inputs if isinstance(inputs, Tensor) else inputs[-1]))

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: GroundTruth, train_cfg: dict
    ) -> dict[str, Tensor]:
        """Losses of the backbone's two outputs, in evaluation mode too; see :meth:`loss_by_feat`."""
        return self.loss_by_feat(self._logits(inputs), batch_data_samples)

    def loss_by_feat(
        self, seg_logits: tuple[Tensor, Tensor], batch_data_samples: GroundTruth
    ) -> dict[str, Tensor]:
        """``loss_context``, ``loss_spatial`` and ``acc_seg`` of the logits of both branches."""
        gt = stack_gt(batch_data_samples)
        context, spatial = (
            resize(logits, gt.shape[1:], mode='bilinear', align_corners=self.align_corners)
            for logits in seg_logits
        )
        losses, weight = self.losses, self.spatial_weight
        of_context, of_spatial = (losses[:1], losses[1:]) if weight is None else (losses, losses)
        return dict(
            loss_context=self.sum_of_losses(of_context, context, gt),
            loss_spatial=self.sum_of_losses(of_spatial, spatial, gt) * (1.0 if weight is None else weight),
            acc_seg=accuracy(context, gt, ignore_index=self.ignore_index),
        )
