"""Non-local head. Wang et al., Non-local Neural Networks, CVPR 2018."""

from torch import Tensor

from mmseg.registry import MODELS

from ..utils.context_block import NonLocal2d
from .context_fcn_head import ContextFCNHead


@MODELS.register_module()
class NLHead(ContextFCNHead):
    """Non-local block between two convolutions.

    Args:
        reduction: ``channels`` divided by the channels inside the block.
        use_scale: divide similarities by the square root of those channels; ``embedded_gaussian`` only.
        mode: ``'gaussian'``, ``'embedded_gaussian'``, ``'dot_product'`` or ``'concatenation'``.
        kwargs: of :class:`FCNHead`, without ``num_convs``.
    """

    def __init__(
        self, reduction: int = 2, use_scale: bool = True, mode: str = 'embedded_gaussian', **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.reduction = reduction
        self.use_scale = use_scale
        self.mode = mode
        self.nl_block = NonLocal2d(
            in_channels=self.channels,
            reduction=reduction,
            use_scale=use_scale,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            mode=mode,
        )

    def context(self, x: Tensor) -> Tensor:
        """The non-local block."""
        return self.nl_block(x)
