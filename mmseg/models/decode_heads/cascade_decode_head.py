"""Heads that refine the logits of an earlier head."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from ..utils.targets import GroundTruth
from .decode_head import BaseDecodeHead


class BaseCascadeDecodeHead(BaseDecodeHead, metaclass=ABCMeta):
    """A head of :class:`CascadeEncoderDecoder` after the first: it also gets the previous head's logits."""

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor], prev_output: Tensor) -> Tensor:
        """Logits (N, out_channels, h, w) from the backbone's outputs and the previous logits."""

    def loss(
        self,
        inputs: Sequence[Tensor],
        prev_output: Tensor,
        batch_data_samples: GroundTruth,
        train_cfg: dict,
    ) -> dict[str, Tensor]:
        """Losses; see :meth:`BaseDecodeHead.loss_by_feat`."""
        return self.loss_by_feat(self.forward(inputs, prev_output), batch_data_samples)

    def predict(
        self, inputs: Sequence[Tensor], prev_output: Tensor, batch_img_metas: list[dict], test_cfg: dict
    ) -> Tensor:
        """Logits at image size."""
        return self.predict_by_feat(self.forward(inputs, prev_output), batch_img_metas)
