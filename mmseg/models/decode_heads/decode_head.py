"""Base class of decode heads: input selection, classification, losses and prediction."""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import build_pixel_sampler

from ..losses import accuracy
from ..utils.targets import GroundTruth, stack_gt
from ..utils.wrappers import resize

# Threshold of a one-channel (sigmoid) head whose config has none.
DEFAULT_BINARY_THRESHOLD = 0.3


class BaseDecodeHead(BaseModule, metaclass=ABCMeta):
    """Maps backbone features to logits, and logits to losses.

    A subclass writes ``forward(inputs)`` and ends it with :meth:`cls_seg`. ``loss`` and ``loss_by_feat``
    take the ground truth as a list of :class:`SegDataSample` or, as the segmentor passes it, as one int64
    tensor (N, H, W); no shape in them depends on values, so that a whole step can be compiled.

    Args:
        in_channels: channels of the input, or one per input for several.
        channels: channels before the classifier.
        num_classes: number of classes.
        out_channels: channels of the logits; ``num_classes`` if None. 1 with two classes makes a sigmoid
            head.
        threshold: probability above which a sigmoid head predicts 1.
        dropout_ratio: of the ``Dropout2d`` before the classifier, in [0, 1).
        conv_cfg, norm_cfg, act_cfg: of the head's convolutions.
        in_index: which of the backbone's outputs; one index per input for several.
        input_transform: None for one input; ``'resize_concat'`` resizes the selected inputs to the
            first's size and concatenates them; ``'multiple_select'`` passes them on as a list.
        loss_decode: a loss config, or a list of them.
        ignore_index: label that no loss counts.
        sampler: config of a pixel sampler, such as ``OHEMPixelSampler``.
        align_corners: of every resize.
        init_cfg: weight initialisation.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        *,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        dropout_ratio: float = 0.1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = dict(type='ReLU'),
        in_index: int | Sequence[int] = -1,
        input_transform: str | None = None,
        loss_decode: dict | Sequence[dict] = dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0
        ),
        ignore_index: int = 255,
        sampler: dict | None = None,
        align_corners: bool = False,
        init_cfg: dict | list[dict] | None = dict(type='Normal', std=0.01, override=dict(name='conv_seg')),
    ) -> None:
        super().__init__(init_cfg)
        self._init_inputs(in_channels, in_index, input_transform)
        self.channels = channels
        self.dropout_ratio = dropout_ratio
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.ignore_index = ignore_index
        self.align_corners = align_corners
        self._init_classes(num_classes, out_channels, threshold)
        self._init_losses(loss_decode)
        self.sampler = build_pixel_sampler(sampler, context=self) if sampler is not None else None
        self.conv_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1)
        self.dropout = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else None

    def _init_classes(self, num_classes: int, out_channels: int | None, threshold: float | None) -> None:
        name = type(self).__name__
        if out_channels is None:
            out_channels = num_classes
        if out_channels != num_classes and not (out_channels == 1 and num_classes == 2):
            raise ValueError(
                f'{name}: out_channels equals num_classes, or is 1 with num_classes=2; '
                f'got out_channels={out_channels}, num_classes={num_classes}'
            )
        if out_channels == 1 and threshold is None:
            threshold = DEFAULT_BINARY_THRESHOLD
            warnings.warn(f'{name}: out_channels=1 without threshold; using {threshold}', stacklevel=4)
        self.num_classes = num_classes
        self.out_channels = out_channels
        self.threshold = threshold

    def _init_losses(self, loss_decode: dict | Sequence[dict]) -> None:
        if isinstance(loss_decode, dict):
            self.loss_decode = MODELS.build(loss_decode)
        elif isinstance(loss_decode, (list, tuple)):
            self.loss_decode = nn.ModuleList(MODELS.build(loss) for loss in loss_decode)
        else:
            raise TypeError(
                f'{type(self).__name__}: loss_decode is a dict or a list of dicts, got {type(loss_decode).__name__}'
            )

    @property
    def losses(self) -> list[nn.Module]:
        """The losses of ``loss_decode``, also if it is one."""
        return list(self.loss_decode) if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]

    def _init_inputs(
        self, in_channels: int | Sequence[int], in_index: int | Sequence[int], input_transform: str | None
    ) -> None:
        """Check that the three arguments fit together and set ``self.in_channels``."""
        name = type(self).__name__
        if input_transform not in (None, 'resize_concat', 'multiple_select'):
            raise ValueError(
                f"{name}: input_transform is None, 'resize_concat' or 'multiple_select', got {input_transform!r}"
            )
        self.input_transform = input_transform
        self.in_index = in_index
        several = isinstance(in_channels, (list, tuple)), isinstance(in_index, (list, tuple))
        if input_transform is None:
            if any(several):
                raise ValueError(
                    f'{name}: without input_transform, in_channels and in_index are single integers, '
                    f'got in_channels={in_channels}, in_index={in_index}'
                )
            self.in_channels = in_channels
            return
        if not all(several) or len(in_channels) != len(in_index):
            raise ValueError(
                f'{name}: with input_transform={input_transform!r}, in_channels and in_index are lists of equal '
                f'length, got in_channels={in_channels}, in_index={in_index}'
            )
        self.in_channels = sum(in_channels) if input_transform == 'resize_concat' else in_channels

    def extra_repr(self) -> str:
        return (
            f'input_transform={self.input_transform}, ignore_index={self.ignore_index}, '
            f'align_corners={self.align_corners}'
        )

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Select, and for ``resize_concat`` concatenate, the backbone outputs that this head uses."""
        if self.input_transform is None:
            return inputs[self.in_index]
        selected = [inputs[i] for i in self.in_index]
        if self.input_transform == 'multiple_select':
            return selected
        size = selected[0].shape[2:]
        return torch.cat(
            [resize(x, size, mode='bilinear', align_corners=self.align_corners) for x in selected], dim=1
        )

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, out_channels, h, w) from the backbone's outputs."""

    def cls_seg(self, feat: Tensor) -> Tensor:
        """Classify each position of ``feat`` (N, channels, h, w)."""
        if self.dropout is not None:
            feat = self.dropout(feat)
        return self.conv_seg(feat)

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: GroundTruth, train_cfg: dict
    ) -> dict[str, Tensor]:
        """Losses of the backbone's outputs; see :meth:`loss_by_feat`."""
        return self.loss_by_feat(self.forward(inputs), batch_data_samples)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Logits at image size; see :meth:`predict_by_feat`."""
        return self.predict_by_feat(self.forward(inputs), batch_img_metas)

    def _stack_batch_gt(self, batch_data_samples: GroundTruth) -> Tensor:
        """Ground truth as int64 (N, 1, H, W)."""
        return stack_gt(batch_data_samples).unsqueeze(1)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: GroundTruth) -> dict[str, Tensor]:
        """Losses of logits.

        Args:
            seg_logits: logits (N, out_channels, h, w), resized here to the labels' size.
            batch_data_samples: samples with ``gt_sem_seg``, or the labels as int64 (N, H, W).

        Returns:
            One scalar per loss name (equal names add up) and ``acc_seg`` in percent.
        """
        return self.loss_of_logits(seg_logits, stack_gt(batch_data_samples))

    def loss_of_logits(self, seg_logits: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """:meth:`loss_by_feat` from tensors alone: logits (N, out_channels, h, w), labels int64 (N, H, W)."""
        seg_logits = resize(seg_logits, gt.shape[1:], mode='bilinear', align_corners=self.align_corners)
        seg_weight = self.sampler.sample(seg_logits, gt.unsqueeze(1)) if self.sampler is not None else None
        losses = {}
        for loss_decode in self.losses:
            value = loss_decode(seg_logits, gt, weight=seg_weight, ignore_index=self.ignore_index)
            name = loss_decode.loss_name
            losses[name] = losses[name] + value if name in losses else value
        losses['acc_seg'] = accuracy(seg_logits, gt, ignore_index=self.ignore_index)
        return losses

    def sum_of_losses(self, losses: Iterable[nn.Module], seg_logits: Tensor, gt: Tensor) -> Tensor:
        """The sum of losses of logits (N, out_channels, H, W) with labels int64 (N, H, W), for heads with branches."""
        return sum(loss(seg_logits, gt, ignore_index=self.ignore_index) for loss in losses)

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits resized to the network's input size.

        That is ``pad_shape`` where the batch was padded, else ``img_shape``. Slide inference puts the
        window's size into ``img_shape``, as a ``torch.Size``, which then takes precedence.
        """
        meta = batch_img_metas[0]
        shape = meta['img_shape']
        if not isinstance(shape, torch.Size) and 'pad_shape' in meta:
            shape = meta['pad_shape']
        return resize(seg_logits, shape[:2], mode='bilinear', align_corners=self.align_corners)
