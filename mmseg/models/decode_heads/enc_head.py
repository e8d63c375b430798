"""EncNet. Zhang et al., Context Encoding for Semantic Segmentation, CVPR 2018."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.encoding import Encoding
from ..utils.targets import GroundTruth, stack_gt
from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead


class EncModule(nn.Module):
    """Encode the context of an image and scale the channels by it (section 3.1).

    Args:
        in_channels: of the features.
        num_codes: number of codewords.
        conv_cfg, norm_cfg, act_cfg: of the projection; the norm of the codes is the 1-d form of ``norm_cfg``.
    """

    def __init__(
        self,
        in_channels: int,
        num_codes: int,
        conv_cfg: dict | None,
        norm_cfg: dict | None,
        act_cfg: dict | None,
    ) -> None:
        super().__init__()
        self.encoding_project = ConvModule(
            in_channels, in_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg
        )
        if norm_cfg is not None:
            kind = norm_cfg['type']
            norm_cfg = {**norm_cfg, 'type': 'BN1d' if kind in ('BN', 'BN2d') else kind}
        norm = [build_norm_layer(norm_cfg, num_codes)[1]] if norm_cfg is not None else []
        self.encoding = nn.Sequential(Encoding(in_channels, num_codes), *norm, nn.ReLU(inplace=True))
        self.fc = nn.Sequential(nn.Linear(in_channels, in_channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The codes' mean (N, in_channels) and the scaled features (N, in_channels, H, W)."""
        code = self.encoding(self.encoding_project(x)).mean(dim=1)
        gamma = self.fc(code)[:, :, None, None]
        return code, torch.relu(x + x * gamma)


@MODELS.register_module()
class EncHead(BaseDecodeHead):
    """Semantic segmentation with encoded context, and a loss for the classes that an image has.

    Args:
        num_codes: number of codewords.
        use_se_loss: predict from the context which classes the image has (SE loss, section 3.2).
        add_lateral: fuse all inputs instead of the last alone.
        loss_se_decode: config of that loss.
        kwargs: of :class:`BaseDecodeHead`, ``input_transform`` excepted.
    """

    def __init__(
        self,
        num_codes: int = 32,
        use_se_loss: bool = True,
        add_lateral: bool = False,
        loss_se_decode: dict = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=0.2),
        **kwargs,
    ) -> None:
        super().__init__(input_transform='multiple_select', **kwargs)
        self.use_se_loss = use_se_loss
        self.add_lateral = add_lateral
        self.num_codes = num_codes
        common = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.bottleneck = ConvModule(self.in_channels[-1], self.channels, 3, padding=1, **common)
        if add_lateral:
            self.lateral_convs = nn.ModuleList(
                ConvModule(width, self.channels, 1, **common) for width in self.in_channels[:-1]
            )
            count = len(self.in_channels)
            self.fusion = ConvModule(count * self.channels, self.channels, 3, padding=1, **common)
        self.enc_module = EncModule(self.channels, num_codes, **common)
        if use_se_loss:
            self.loss_se_decode = MODELS.build(loss_se_decode)
            self.se_layer = nn.Linear(self.channels, self.num_classes)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, out_channels, h, w); with ``use_se_loss`` also those of the classes, (N, num_classes)."""
        inputs = self._transform_inputs(inputs)
        feat = self.bottleneck(inputs[-1])
        if self.add_lateral:
            laterals = [
                resize(conv(x), feat.shape[2:], mode='bilinear', align_corners=self.align_corners)
                for conv, x in zip(self.lateral_convs, inputs)
            ]
            feat = self.fusion(torch.cat([feat, *laterals], dim=1))
        code, feat = self.enc_module(feat)
        logits = self.cls_seg(feat)
        return (logits, self.se_layer(code)) if self.use_se_loss else logits

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Logits at image size."""
        output = self.forward(inputs)
        return self.predict_by_feat(output[0] if self.use_se_loss else output, batch_img_metas)

    def loss_by_feat(
        self, seg_logits: Tensor | tuple[Tensor, Tensor], batch_data_samples: GroundTruth
    ) -> dict[str, Tensor]:
        """The losses of :class:`BaseDecodeHead` and ``loss_se``; arguments as there, logits as of :meth:`forward`."""
        if not self.use_se_loss:
            return super().loss_by_feat(seg_logits, batch_data_samples)
        logits, class_logits = seg_logits
        gt = stack_gt(batch_data_samples)
        losses = self.loss_of_logits(logits, gt)
        losses['loss_se'] = self.loss_se_decode(class_logits, classes_of_images(gt, self.num_classes))
        return losses


def classes_of_images(gt: Tensor, num_classes: int) -> Tensor:
    """1 for each class that an image has, float32 (N, num_classes), of labels (N, H, W)."""
    pixels = gt.flatten(1)
    present = [(pixels == index).any(dim=1) for index in range(num_classes)]
    return torch.stack(present, dim=1).float()
