"""Backbone, optional neck, decode head, auxiliary heads."""

import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.utils import to_2tuple
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils.misc import add_prefix

from ..utils.targets import GroundTruth, stack_targets
from .base import BaseSegmentor

#: Pixels of the sliding windows that the network gets at once on a GPU: 16 windows of 512 x 512.
WINDOW_PIXELS = 16 * 512 * 512


@MODELS.register_module()
class EncoderDecoder(BaseSegmentor):
    """Backbone, optional neck, decode head and auxiliary heads: the segmentor of nearly all models here.

    Training runs through :meth:`loss_tensors`, a function of two tensors, which can be compiled or captured
    in a CUDA graph as a whole: ``compile=dict(target='loss_tensors')`` in a config does the former.

    Args:
        backbone, decode_head, neck: configs.
        auxiliary_head: a config or a list of them; only used in training.
        train_cfg: handed to the heads.
        test_cfg: ``dict(mode='whole')`` or ``dict(mode='slide', crop_size=(h, w), stride=(h, w))``, where one number
            stands for both sides, with ``windows`` of them at once.
        data_preprocessor: config.
        pretrained: checkpoint of the backbone; the older form of ``backbone.init_cfg``.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        neck: dict | None = None,
        auxiliary_head: dict | list[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if pretrained is not None:
            if backbone.get('pretrained') is not None:
                raise ValueError(
                    f'pretrained is set for the segmentor ({pretrained!r}) and for its backbone '
                    f'({backbone["pretrained"]!r}); keep one'
                )
            backbone = {**backbone, 'pretrained': pretrained}
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self._init_decode_head(decode_head)
        self._init_auxiliary_head(auxiliary_head)
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg

    def _init_decode_head(self, decode_head: dict) -> None:
        self.decode_head = MODELS.build(decode_head)
        self.align_corners = self.decode_head.align_corners
        self.num_classes = self.decode_head.num_classes
        self.out_channels = self.decode_head.out_channels

    def _init_auxiliary_head(self, auxiliary_head: dict | list[dict] | None) -> None:
        if auxiliary_head is None:
            return
        if isinstance(auxiliary_head, list):
            self.auxiliary_head = nn.ModuleList(MODELS.build(head) for head in auxiliary_head)
        else:
            self.auxiliary_head = MODELS.build(auxiliary_head)

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """The backbone's (or neck's) outputs for images (N, C, H, W)."""
        feats = self.backbone(inputs)
        return self.neck(feats) if self.with_neck else feats

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits at the images' size, (N, out_channels, H, W)."""
        return self.decode_head.predict(self.extract_feat(inputs), batch_img_metas, self.test_cfg)

    def _decode_head_forward_train(self, inputs: Sequence[Tensor], gt: GroundTruth) -> dict[str, Tensor]:
        return add_prefix(self.decode_head.loss(inputs, gt, self.train_cfg), 'decode')

    def _auxiliary_head_forward_train(self, inputs: Sequence[Tensor], gt: GroundTruth) -> dict[str, Tensor]:
        if not isinstance(self.auxiliary_head, nn.ModuleList):
            return add_prefix(self.auxiliary_head.loss(inputs, gt, self.train_cfg), 'aux')
        losses = {}
        for i, head in enumerate(self.auxiliary_head):
            losses.update(add_prefix(head.loss(inputs, gt, self.train_cfg), f'aux_{i}'))
        return losses

    def loss_tensors(self, inputs: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Losses from tensors alone; no operation's shape depends on values.

        Args:
            inputs: images (N, C, H, W).
            gt: labels, int64 (N, H, W), or (N, 2, H, W) of labels and edge maps.

        Returns:
            Scalars such as ``decode.loss_ce``, ``decode.acc_seg``, ``aux_0.loss_ce``.
        """
        feats = self.extract_feat(inputs)
        losses = self._decode_head_forward_train(feats, gt)
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(feats, gt))
        return losses

    def loss(self, inputs: Tensor, data_samples: Sequence[SegDataSample]) -> dict[str, Tensor]:
        """Losses of images (N, C, H, W) with their samples; see :meth:`loss_tensors`."""
        return self.loss_tensors(inputs, stack_targets(data_samples))

    def predict(
        self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predictions at original image size.

        Args:
            inputs: images (N, C, H, W).
            data_samples: their samples, with padding and original size; None for images without either.

        Returns:
            The samples with ``seg_logits`` and ``pred_sem_seg``.
        """
        if data_samples is not None:
            metas = [sample.metainfo for sample in data_samples]
        else:
            shape = tuple(inputs.shape[2:])
            metas = [
                dict(ori_shape=shape, img_shape=shape, pad_shape=shape, padding_size=[0, 0, 0, 0])
            ] * len(inputs)
        return self.postprocess_result(self.inference(inputs, metas), data_samples)

    def _forward(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> Tensor:
        """The decode head's logits at their own size, (N, out_channels, h, w)."""
        return self.decode_head.forward(self.extract_feat(inputs))

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Mean of the logits of overlapping windows.

        Windows of ``test_cfg.crop_size`` move by ``test_cfg.stride``; the last one of a row or column is shifted
        back to end at the border. An image smaller than a window is one window of its own size. On a GPU the network
        gets several windows at once, up to :data:`WINDOW_PIXELS`; ``test_cfg.windows`` sets their number.
        """
        stride_h, stride_w = to_2tuple(self.test_cfg['stride'])
        crop_h, crop_w = to_2tuple(self.test_cfg['crop_size'])
        n, _, height, width = inputs.shape
        total = inputs.new_zeros((n, self.out_channels, height, width))
        count = inputs.new_zeros((1, 1, height, width))
        corners = [
            (slice(top, top + crop_h), slice(left, left + crop_w))
            for top in _window_starts(height, crop_h, stride_h)
            for left in _window_starts(width, crop_w, stride_w)
        ]
        at_once = self._windows_at_once(inputs, min(crop_h, height) * min(crop_w, width))
        for first in range(0, len(corners), at_once):
            chosen = corners[first : first + at_once]
            windows = torch.cat([inputs[:, :, rows, columns] for rows, columns in chosen])
            metas = [{**batch_img_metas[0], 'img_shape': windows.shape[2:]}] * len(windows)
            for (rows, columns), logits in zip(chosen, self.encode_decode(windows, metas).split(n)):
                total[:, :, rows, columns] += logits
                count[:, :, rows, columns] += 1
        return total / count

    def _windows_at_once(self, inputs: Tensor, pixels: int) -> int:
        """How many windows of so many pixels the network gets at once: ``test_cfg.windows``, else by device."""
        chosen = self.test_cfg.get('windows')
        if chosen is not None:
            return chosen
        return max(1, WINDOW_PIXELS // (pixels * len(inputs))) if inputs.is_cuda else 1

    def whole_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits of whole images."""
        return self.encode_decode(inputs, batch_img_metas)

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits (N, out_channels, H, W), by the mode in ``test_cfg``."""
        test_cfg = self.test_cfg or {}
        mode = test_cfg.get('mode', 'whole')
        if mode not in ('slide', 'whole'):
            raise ValueError(f"model.test_cfg.mode={mode!r}, expected 'slide' or 'whole'")
        if len({tuple(meta['ori_shape'][:2]) for meta in batch_img_metas if 'ori_shape' in meta}) > 1:
            print_log('images of different original size in one test batch', 'current', logging.WARNING)
        if mode == 'slide':
            missing = [key for key in ('crop_size', 'stride') if key not in test_cfg]
            if missing:
                raise ValueError(
                    f"model.test_cfg with mode='slide' needs {' and '.join(missing)} as (height, width)"
                )
            return self.slide_inference(inputs, batch_img_metas)
        return self.whole_inference(inputs, batch_img_metas)

    def aug_test(
        self, inputs: list[Tensor], batch_img_metas: list[list[dict]], rescale: bool = True
    ) -> list[Tensor]:
        """Class ids from the mean probability over augmented copies of a batch.

        Args:
            inputs: one batch (N, C, H, W) per augmentation.
            batch_img_metas: the metas of each.
            rescale: only True: probabilities can only be added at the original size.

        Returns:
            One int64 tensor (h, w) per image.
        """
        if not rescale:
            raise ValueError('aug_test adds probabilities at the original size; rescale=False has no meaning')
        total = None
        for batch, metas in zip(inputs, batch_img_metas):
            samples = [SegDataSample(metainfo=meta) for meta in metas]
            self.postprocess_result(self.inference(batch, metas), samples)
            scores = torch.stack([sample.seg_logits.data for sample in samples])
            probability = scores.softmax(1) if self.out_channels > 1 else scores
            total = probability if total is None else total + probability
        mean = total / len(inputs)
        if self.out_channels > 1:
            return list(mean.argmax(dim=1))
        return list((mean > self.decode_head.threshold).long().squeeze(1))


def _window_starts(length: int, crop: int, stride: int) -> list[int]:
    """First positions of windows that cover ``length`` pixels."""
    last = max(length - crop, 0)
    return [min(step * stride, last) for step in range(-(-last // stride) + 1)]
