"""DANet. Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019, figure 2."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, Scale
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.utils.misc import add_prefix

from ..utils.self_attention_block import SelfAttentionBlock, attention
from ..utils.targets import GroundTruth, stack_gt
from .decode_head import BaseDecodeHead


class PAM(SelfAttentionBlock):
    """Position attention (section 3.2): (N, in_channels, H, W) to the same.

    Args:
        in_channels: of input and output.
        channels: of queries and keys.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            key_in_channels=in_channels,
            query_in_channels=in_channels,
            channels=channels,
            out_channels=in_channels,
            share_key_query=False,
            query_downsample=None,
            key_downsample=None,
            key_query_num_convs=1,
            value_out_num_convs=1,
            key_query_norm=False,
            value_out_norm=False,
            matmul_norm=False,
            with_out=False,
            conv_cfg=None,
            norm_cfg=None,
            act_cfg=None,
        )
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma(super().forward(x, x)) + x


class CAM(nn.Module):
    """Channel attention (section 3.3): (N, C, H, W) to the same; C² similarities, independent of H and W."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.flatten(2).unsqueeze(1)  # (N, 1, C, H * W): one head, as fused kernels and ONNX want it
        # Softmax of the row's maximum less the similarity is softmax of the negated similarity.
        context = attention(-channels, channels, channels, scale=1.0)
        return self.gamma(context.view(x.shape)) + x


@MODELS.register_module()
class DAHead(BaseDecodeHead):
    """Position and channel attention side by side, their sum classified; in training each is also classified on its own.

    Args:
        pam_channels: of queries and keys in the position attention.
        kwargs: of :class:`BaseDecodeHead`.
    """

    def __init__(self, pam_channels: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.pam_channels = pam_channels
        self.pam_in_conv = self._conv(self.in_channels)
        self.pam = PAM(self.channels, pam_channels)
        self.pam_out_conv = self._conv(self.channels)
        self.pam_conv_seg = nn.Conv2d(self.channels, self.out_channels, 1)
        self.cam_in_conv = self._conv(self.in_channels)
        self.cam = CAM()
        self.cam_out_conv = self._conv(self.channels)
        self.cam_conv_seg = nn.Conv2d(self.channels, self.out_channels, 1)

    def _conv(self, in_channels: int) -> ConvModule:
        return ConvModule(
            in_channels,
            self.channels,
            3,
            padding=1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def _classify(self, feat: Tensor, conv: nn.Module) -> Tensor:
        return conv(feat if self.dropout is None else self.dropout(feat))

    def pam_cls_seg(self, feat: Tensor) -> Tensor:
        """Classify the position branch."""
        return self._classify(feat, self.pam_conv_seg)

    def cam_cls_seg(self, feat: Tensor) -> Tensor:
        """Classify the channel branch."""
        return self._classify(feat, self.cam_conv_seg)

    def _branches(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        x = self._transform_inputs(inputs)
        return self.pam_out_conv(self.pam(self.pam_in_conv(x))), self.cam_out_conv(
            self.cam(self.cam_in_conv(x))
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, out_channels, h, w) of the sum, of the position branch, of the channel branch."""
        pam, cam = self._branches(inputs)
        return self.cls_seg(pam + cam), self.pam_cls_seg(pam), self.cam_cls_seg(cam)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Logits of the sum at image size."""
        pam, cam = self._branches(inputs)
        return self.predict_by_feat(self.cls_seg(pam + cam), batch_img_metas)

    def loss_by_feat(
        self, seg_logits: tuple[Tensor, Tensor, Tensor], batch_data_samples: GroundTruth
    ) -> dict[str, Tensor]:
        """Losses of the three outputs of :meth:`forward`, below ``pam_cam``, ``pam`` and ``cam``."""
        gt = stack_gt(batch_data_samples)
        losses = {}
        for name, logits in zip(('pam_cam', 'pam', 'cam'), seg_logits):
            losses.update(add_prefix(self.loss_of_logits(logits, gt), name))
        return losses
