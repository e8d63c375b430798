"""A pyramid from a plain transformer's features by strided layers. Bao et al., BEiT, ICLR 2022, appendix."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS


@MODELS.register_module()
class Feature2Pyramid(nn.Module):
    """Transposed convolutions upwards, max-pooling downwards.

    Args:
        embed_dim: channels of every input and output.
        rescales: factor of each input, among 4, 2, 1, 0.5 and 0.25.
        norm_cfg: between the two steps of the factor 4.
    """

    def __init__(
        self,
        embed_dim: int,
        rescales: Sequence[float] = (4, 2, 1, 0.5),
        norm_cfg: dict = dict(type='SyncBN', requires_grad=True),
    ) -> None:
        super().__init__()

        def double() -> nn.Module:
            return nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2)

        names = {
            4: 'upsample_4x',
            2: 'upsample_2x',
            1: 'identity',
            0.5: 'downsample_2x',
            0.25: 'downsample_4x',
        }
        unknown = [scale for scale in rescales if scale not in names]
        if unknown:
            raise ValueError(f'Feature2Pyramid: rescales are among {list(names)}, got {unknown}')
        self.rescales = tuple(rescales)
        self._stages = [names[scale] for scale in rescales]
        for scale in dict.fromkeys(rescales):
            if scale == 4:
                norm = build_norm_layer(norm_cfg, embed_dim)[1]
                stage = nn.Sequential(double(), norm, nn.GELU(), double())
            elif scale == 2:
                stage = nn.Sequential(double())
            elif scale == 1:
                stage = nn.Identity()
            else:
                stage = nn.MaxPool2d(kernel_size=int(1 / scale), stride=int(1 / scale))
            self.add_module(names[scale], stage)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One output (N, embed_dim, scale * H, scale * W) per input."""
        if len(inputs) != len(self._stages):
            raise ValueError(
                f'Feature2Pyramid: {len(self._stages)} rescales need as many inputs, got {len(inputs)}'
            )
        return tuple(getattr(self, name)(x) for name, x in zip(self._stages, inputs))
