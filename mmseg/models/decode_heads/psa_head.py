"""PSANet. Zhao et al., PSANet: Point-wise Spatial Attention Network for Scene Parsing, ECCV 2018."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils import resize
from .decode_head import BaseDecodeHead

PSA_TYPES = ('collect', 'distribute', 'bi-direction')


def attention_between_positions(mask: Tensor, centre: tuple[int, int]) -> Tensor:
    """What each position says about the others, from offsets to pairs of positions.

    The compiled operator of other implementations does this in loops; here it is one ``gather``.

    Args:
        mask: (N, rows, columns, H, W), at each of H x W positions a value for each offset.
        centre: row and column of the offset (0, 0).

    Returns:
        (N, H * W, H * W). Entry [n, p, q] is the value at position q for the offset p - q; 0 where the mask has no such
        offset.
    """
    n, rows, columns, height, width = mask.shape
    y, x = torch.arange(height, device=mask.device), torch.arange(width, device=mask.device)
    row = (y[:, None] - y + centre[0])[:, None, :, None]
    column = (x[:, None] - x + centre[1])[None, :, None, :]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    index = torch.where(inside, row * columns + column, 0).flatten(2).flatten(0, 1)
    values = mask.flatten(3).flatten(1, 2).gather(1, index.expand(n, -1, -1))
    return values.masked_fill(~inside.flatten(2).flatten(0, 1), 0)


@MODELS.register_module()
class PSAHead(BaseDecodeHead):
    """Each position collects from all others, and distributes to them, with weights learned for each offset (section 3).

    Args:
        mask_size: (rows, columns) of the offsets that have a weight, centred; offsets beyond count 0 before the softmax.
            Twice the side of the shrunk map less 1 reaches every position.
        psa_type: ``'collect'``, ``'distribute'`` or ``'bi-direction'`` for both.
        compact: weights for positions instead of offsets; ``mask_size`` then is the size of the shrunk map.
        shrink_factor: by which the map is made smaller for the attention.
        normalization_factor: divides the result; None: the number of weights, ``mask_size``.
        psa_softmax: weights of a position by softmax over all positions.
        kwargs: of :class:`BaseDecodeHead`.

    Raises:
        ValueError: another ``psa_type``, or a map that does not fit a compact mask.
    """

    def __init__(
        self,
        mask_size: tuple[int, int],
        psa_type: str = 'bi-direction',
        compact: bool = False,
        shrink_factor: int = 2,
        normalization_factor: float | None = 1.0,
        psa_softmax: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if psa_type not in PSA_TYPES:
            raise ValueError(f'PSAHead: psa_type is one of {PSA_TYPES}, got {psa_type!r}')
        self.mask_size, self.psa_type, self.compact = tuple(mask_size), psa_type, compact
        self.shrink_factor, self.psa_softmax = shrink_factor, psa_softmax
        offsets = self.mask_size[0] * self.mask_size[1]
        self.normalization_factor = offsets if normalization_factor is None else normalization_factor
        branches = 2 if psa_type == 'bi-direction' else 1
        self.reduce, self.attention = self._branch(offsets)
        if branches == 2:
            self.reduce_p, self.attention_p = self._branch(offsets)
        # mmsegmentation pads here, so checkpoints are trained with a constant line around the map
        self.proj = self._conv(self.channels * branches, self.in_channels, 1, padding=1)
        self.bottleneck = self._conv(self.in_channels * 2, self.channels, 3, padding=1)

    def _conv(self, in_channels: int, channels: int, kernel: int, padding: int = 0) -> ConvModule:
        options = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        return ConvModule(in_channels, channels, kernel, padding=padding, **options)

    def _branch(self, offsets: int) -> tuple[ConvModule, nn.Sequential]:
        """Projection of the features, and from it the weight of each offset."""
        weights = nn.Conv2d(self.channels, offsets, 1, bias=False)
        return (
            self._conv(self.in_channels, self.channels, 1),
            nn.Sequential(self._conv(self.channels, self.channels, 1), weights),
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, out_channels, h, w), of the size of the input feature map."""
        x = self._transform_inputs(inputs)
        size, align_corners = self._shrunk(*x.shape[2:])
        resized = dict(mode='bilinear', align_corners=align_corners, warning=False)
        first = resize(self.reduce(x), size, **resized)
        context = self._context(first, self.attention, self.psa_type == 'distribute')
        if self.psa_type == 'bi-direction':
            second = resize(self.reduce_p(x), size, **resized)
            context = torch.cat([context, self._context(second, self.attention_p, True)], dim=1)
        context = resize(self.proj(context), x.shape[2:], **resized)
        return self.cls_seg(self.bottleneck(torch.cat([x, context], dim=1)))

    def _shrunk(self, height: int, width: int) -> tuple[tuple[int, int], bool]:
        """Size of the map for the attention, and whether resizing from and to it aligns corners."""
        factor = self.shrink_factor
        if factor == 1:
            return (height, width), self.align_corners
        if height % factor and width % factor:
            return ((height - 1) // factor + 1, (width - 1) // factor + 1), True
        return (height // factor, width // factor), False

    def _context(self, x: Tensor, attention: nn.Sequential, distributes: bool) -> Tensor:
        """(N, C, H, W): at each position the sum of the features (N, C, H, W) of all, by their weights."""
        weights = self._compact_weights(x, attention) if self.compact else self._weights(x, attention)
        # one type alone has the two exchanged when compact in mmsegmentation, so checkpoints are trained with it
        if distributes != (self.compact and self.psa_type != 'bi-direction'):
            weights = weights.transpose(1, 2)
        if self.psa_softmax:
            weights = weights.softmax(dim=1)
        return (x.flatten(2) @ weights).view(x.shape) * (1 / self.normalization_factor)

    def _compact_weights(self, x: Tensor, attention: nn.Sequential) -> Tensor:
        if tuple(x.shape[2:]) != self.mask_size:
            raise ValueError(
                f'PSAHead: compact=True needs maps of mask_size {self.mask_size} after shrink_factor '
                f'{self.shrink_factor}, got {tuple(x.shape[2:])}; resize the images, or set compact=False'
            )
        return attention(x).flatten(2)

    def _weights(self, x: Tensor, attention: nn.Sequential) -> Tensor:
        """Weights (N, H * W, H * W) for pairs of positions; only those of offsets within the map are computed."""
        centre = [(side - 1) // 2 for side in self.mask_size]
        starts = [max(middle - side + 1, 0) for middle, side in zip(centre, x.shape[2:])]
        rows, columns = (
            slice(start, min(middle + side, mask_side))
            for start, middle, side, mask_side in zip(starts, centre, x.shape[2:], self.mask_size)
        )
        features, layer = attention
        kernels = layer.weight.unflatten(0, self.mask_size)[rows, columns]
        mask = F.conv2d(features(x), kernels.flatten(0, 1)).unflatten(1, kernels.shape[:2])
        return attention_between_positions(mask, (centre[0] - starts[0], centre[1] - starts[1]))
