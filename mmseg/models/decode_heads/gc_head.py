"""GCNet. Cao et al., Non-local Networks Meet Squeeze-Excitation Networks and Beyond, ICCV workshops 2019."""

from collections.abc import Sequence

from torch import Tensor

from mmseg.registry import MODELS

from ..utils.context_block import ContextBlock
from .context_fcn_head import ContextFCNHead


@MODELS.register_module()
class GCHead(ContextFCNHead):
    """Global context block between two convolutions.

    Args:
        ratio: width of the block's bottleneck, as a fraction of ``channels``.
        pooling_type: ``'att'`` for attention, ``'avg'`` for the mean.
        fusion_types: ``'channel_add'``, ``'channel_mul'`` or both.
        kwargs: of :class:`FCNHead`, without ``num_convs``.
    """

    def __init__(
        self,
        ratio: float = 1 / 4.0,
        pooling_type: str = 'att',
        fusion_types: Sequence[str] = ('channel_add',),
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        known = {'channel_add', 'channel_mul'}
        if pooling_type not in ('att', 'avg') or not fusion_types or not set(fusion_types) <= known:
            raise ValueError(
                "GCHead: pooling_type is 'att' or 'avg' and fusion_types holds 'channel_add', 'channel_mul' or "
                f'both; got {pooling_type!r} and {fusion_types}'
            )
        self.ratio = ratio
        self.pooling_type = pooling_type
        self.fusion_types = tuple(fusion_types)
        self.gc_block = ContextBlock(self.channels, ratio, pooling_type, self.fusion_types)

    def context(self, x: Tensor) -> Tensor:
        """The global context block."""
        return self.gc_block(x)
