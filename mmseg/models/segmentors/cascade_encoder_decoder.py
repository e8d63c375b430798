"""Several decode heads in a row; each one gets the logits of the one before."""

from collections.abc import Sequence

from torch import Tensor, nn

from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils.misc import add_prefix

from ..utils.targets import GroundTruth
from .encoder_decoder import EncoderDecoder


@MODELS.register_module()
class CascadeEncoderDecoder(EncoderDecoder):
    """:class:`EncoderDecoder` with ``num_stages`` decode heads; the last one predicts.

    Args:
        num_stages: number of decode heads.
        decode_head: their configs; those after the first are of :class:`BaseCascadeDecodeHead`.
        kwargs: of :class:`EncoderDecoder`.
    """

    def __init__(
        self,
        num_stages: int,
        backbone: dict,
        decode_head: Sequence[dict],
        neck: dict | None = None,
        auxiliary_head: dict | list[dict] | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        self.num_stages = num_stages
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            auxiliary_head=auxiliary_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )

    def _init_decode_head(self, decode_head: Sequence[dict]) -> None:
        if not isinstance(decode_head, (list, tuple)) or len(decode_head) != self.num_stages:
            given = f'{len(decode_head)} of them' if isinstance(decode_head, (list, tuple)) else 'one dict'
            raise ValueError(
                f'CascadeEncoderDecoder: decode_head is a list of num_stages={self.num_stages} configs, got {given}'
            )
        self.decode_head = nn.ModuleList(MODELS.build(head) for head in decode_head)
        self.align_corners = self.decode_head[-1].align_corners
        self.num_classes = self.decode_head[-1].num_classes
        self.out_channels = self.decode_head[-1].out_channels

    def _outputs_before(self, feats: Sequence[Tensor]) -> Tensor:
        """Output of the last head but one."""
        output = self.decode_head[0].forward(feats)
        for head in self.decode_head[1:-1]:
            output = head.forward(feats, output)
        return output

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits of the last head at the images' size, (N, out_channels, H, W)."""
        feats = self.extract_feat(inputs)
        last = self.decode_head[-1]
        if self.num_stages == 1:
            return last.predict(feats, batch_img_metas, self.test_cfg)
        return last.predict(feats, self._outputs_before(feats), batch_img_metas, self.test_cfg)

    def _decode_head_forward_train(self, inputs: Sequence[Tensor], gt: GroundTruth) -> dict[str, Tensor]:
        """Losses of all heads, below ``decode_0``, ``decode_1``, …; each head runs once."""
        losses, previous = {}, ()
        for i, head in enumerate(self.decode_head):
            output = head.forward(inputs, *previous)
            losses.update(add_prefix(head.loss_by_feat(output, gt), f'decode_{i}'))
            previous = (output,)
        return losses

    def _forward(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> Tensor:
        """The last head's logits at their own size, (N, out_channels, h, w)."""
        feats = self.extract_feat(inputs)
        previous = () if self.num_stages == 1 else (self._outputs_before(feats),)
        return self.decode_head[-1].forward(feats, *previous)
