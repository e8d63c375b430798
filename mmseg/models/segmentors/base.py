"""Base class of segmentors: the interface that the runner calls."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from logging import FileHandler

from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from torch import Tensor

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from ..utils.wrappers import resize


class BaseSegmentor(BaseModel, metaclass=ABCMeta):
    """A model with ``loss``, ``predict`` and a plain forward.

    Args:
        data_preprocessor: config of the preprocessor.
        init_cfg: weight initialisation.
    """

    # whether the last class that defined a loss defined loss_tensors, too
    _trains_on_tensors = False

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if 'loss' in vars(cls) or 'loss_tensors' in vars(cls):
            cls._trains_on_tensors = 'loss_tensors' in vars(cls)

    def __init__(
        self, data_preprocessor: dict | None = None, init_cfg: dict | list[dict] | None = None
    ) -> None:
        if isinstance(data_preprocessor, dict):
            # built here, so that its name is resolved whatever the default scope is
            data_preprocessor = MODELS.build({'type': 'BaseDataPreprocessor', **data_preprocessor})
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, with this package's ``Pretrained`` whatever the default scope is."""
        with DefaultScope.overwrite_default_scope('mmseg'):
            super().init_weights()

    def _dump_init_info(self) -> None:
        """List the initial weights in the log file, as mmengine does; without one not on the screen."""
        if any(isinstance(handler, FileHandler) for handler in MMLogger.get_current_instance().handlers):
            super()._dump_init_info()

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""
        return getattr(self, 'neck', None) is not None

    @property
    def with_auxiliary_head(self) -> bool:
        """Whether there is at least one auxiliary head."""
        return getattr(self, 'auxiliary_head', None) is not None

    @property
    def with_decode_head(self) -> bool:
        """Whether there is a decode head."""
        return getattr(self, 'decode_head', None) is not None

    @abstractmethod
    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Features of images (N, C, H, W)."""

    @abstractmethod
    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits at the images' size."""

    @abstractmethod
    def loss(self, inputs: Tensor, data_samples: Sequence[SegDataSample]) -> dict[str, Tensor]:
        """Losses of a batch."""

    def loss_tensors(self, inputs: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Losses of images (N, C, H, W) with labels ``gt``, int64 (N, H, W); nothing in it depends on values.

        Training calls it where the preprocessor has made ``gt``, unless a subclass overrides :meth:`loss` alone.
        """
        raise NotImplementedError(f'{type(self).__name__} has no loss_tensors; its loss takes samples')

    @abstractmethod
    def predict(
        self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predictions of a batch, with post-processing."""

    @abstractmethod
    def _forward(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> Tensor:
        """Network output without post-processing."""

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample] | None = None,
        mode: str = 'tensor',
        gt: Tensor | None = None,
    ) -> dict[str, Tensor] | list[SegDataSample] | Tensor:
        """Dispatch to :meth:`loss_tensors` or :meth:`loss`, to :meth:`predict` or to :meth:`_forward`.

        Args:
            inputs: images (N, C, H, W), as the preprocessor makes them.
            data_samples: one per image.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.
            gt: labels, int64 (N, H, W), as the preprocessor makes them; for ``'loss'``.

        Raises:
            RuntimeError: another mode.
        """
        if mode == 'loss' and gt is not None and self._trains_on_tensors:
            return self.loss_tensors(inputs, gt)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self._forward(inputs, data_samples)
        raise RuntimeError(f"mode is 'loss', 'predict' or 'tensor', got {mode!r}")

    def test_step(self, data: dict) -> list[SegDataSample]:
        """Predictions of a batch; images of different size are predicted in groups of one size."""
        inputs = data['inputs']
        sizes = [tuple(image.shape) for image in inputs]
        if len(set(sizes)) <= 1 or getattr(self.data_preprocessor, 'test_cfg', None):
            return super().test_step(data)
        results: list = [None] * len(inputs)
        samples = data.get('data_samples')
        for size in dict.fromkeys(sizes):
            chosen = [index for index, one in enumerate(sizes) if one == size]
            group = dict(data, inputs=[inputs[index] for index in chosen])
            if samples is not None:
                group['data_samples'] = [samples[index] for index in chosen]
            for index, result in zip(chosen, super().test_step(group), strict=True):
                results[index] = result
        return results

    def val_step(self, data: dict) -> list[SegDataSample]:
        """As :meth:`test_step`."""
        return self.test_step(data)

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Logits at network size to predictions at the original image's size.

        Args:
            seg_logits: (N, C, H, W).
            data_samples: samples whose metainfo says how the image was padded, flipped and resized;
                without them the logits are not cropped or resized.

        Returns:
            Samples with ``seg_logits`` (C, h, w) and ``pred_sem_seg`` (1, h, w). A one-channel head gives
            0 and 1 in the latter and, as in upstream, its probability in the former.
        """
        if data_samples is None:
            data_samples = [SegDataSample() for _ in range(len(seg_logits))]
            restored = list(seg_logits)
        else:
            restored = [self._restore(logits, s.metainfo) for logits, s in zip(seg_logits, data_samples)]
        for logits, sample in zip(restored, data_samples):
            if logits.shape[0] > 1:
                prediction = logits.argmax(dim=0, keepdim=True)
            else:
                logits = logits.sigmoid()
                prediction = (logits > self.decode_head.threshold).to(logits)
            sample.set_data(dict(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=prediction)))
        return data_samples

    def _restore(self, logits: Tensor, meta: dict) -> Tensor:
        """Undo padding, flip and resize of one image's logits (C, H, W)."""
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        height, width = logits.shape[-2:]
        logits = logits[:, top : height - bottom, left : width - right]
        if meta.get('flip'):
            directions = {'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-2, -1)}
            direction = meta.get('flip_direction')
            if direction not in directions:
                raise ValueError(f'flip_direction is one of {sorted(directions)}, got {direction!r}')
            logits = logits.flip(directions[direction])
        size = meta.get('ori_shape', logits.shape[-2:])[:2]
        return resize(
            logits[None], size, mode='bilinear', align_corners=self.align_corners, warning=False
        ).squeeze(0)
