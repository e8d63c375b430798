"""U-Net's decoder in the layout of segmentation_models_pytorch. Ronneberger et al., U-Net, MICCAI 2015, figure 1."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from .decode_head import BaseDecodeHead

#: Reduction of the channel attention.
_REDUCTION = 16


class SCSE(nn.Module):
    """Attention over channels and over positions. Roy et al., Concurrent Spatial and Channel SE, MICCAI 2018."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // _REDUCTION)
        self.cSE = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )
        self.sSE = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """A map (N, channels, H, W) of the same shape."""
        return x * self.cSE(x) + x * self.sSE(x)


class Attention(nn.Module):
    """An optional attention over a map.

    Args:
        kind: None or ``'scse'``.
        channels: of the map.
        used: whether the map is there; else the layers are kept for the layout alone, and are not trained.
    """

    def __init__(self, kind: str | None, channels: int, used: bool = True) -> None:
        super().__init__()
        if kind not in (None, 'scse'):
            raise ValueError(f"attention_type is None or 'scse', got {kind!r}")
        self.attention = SCSE(channels) if kind else nn.Identity()
        self.attention.requires_grad_(used)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)


class DecoderBlock(nn.Module):
    """Enlarge a map to the size of its skip connection, or twofold without one, concatenate, convolve twice.

    Args:
        in_channels: of the map.
        skip_channels: of the skip connection; 0: there is none.
        out_channels: of the output.
        interpolation: of the enlargement.
        attention_type: None or ``'scse'``.
        norm_cfg, act_cfg: after the convolutions; without a norm they have a bias.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        interpolation: str,
        attention_type: str | None,
        norm_cfg: dict | None,
        act_cfg: dict,
    ) -> None:
        super().__init__()
        self.interpolation = interpolation
        width = in_channels + skip_channels
        self.conv1 = _convolution(width, out_channels, norm_cfg, act_cfg)
        self.attention1 = Attention(attention_type, width, used=skip_channels > 0)
        self.conv2 = _convolution(out_channels, out_channels, norm_cfg, act_cfg)
        self.attention2 = Attention(attention_type, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """A map (N, in_channels, h, w) and a skip connection (N, skip_channels, H, W) to (N, out_channels, H, W)."""
        if skip is None:
            x = F.interpolate(x, scale_factor=2.0, mode=self.interpolation)
        else:
            x = F.interpolate(x, size=skip.shape[2:], mode=self.interpolation)
            x = self.attention1(torch.cat([x, skip], dim=1))
        return self.attention2(self.conv2(self.conv1(x)))


def _convolution(in_channels: int, out_channels: int, norm_cfg: dict | None, act_cfg: dict) -> nn.Sequential:
    layers = [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=norm_cfg is None)]
    if norm_cfg is not None:
        layers.append(build_norm_layer(norm_cfg, out_channels)[1])
    return nn.Sequential(*layers, build_activation_layer(act_cfg))


class SMPDecodeHead(BaseDecodeHead):
    """Base class of decoders in the layout of segmentation_models_pytorch: blocks, and a 3 x 3 classifier.

    Args:
        in_channels: of the encoder's outputs, shallow to deep; each has half the sides of the one before.
        decoder_channels: of the blocks' outputs, deep to shallow. With one block for each input the last output has
            twice the sides of the first input; each block more doubles them again.
        attention_type: None or ``'scse'``.
        interpolation: of the enlargements.
        dropout_ratio, norm_cfg: as in :class:`BaseDecodeHead`, with the defaults of segmentation_models_pytorch.
        kwargs: of :class:`BaseDecodeHead`, without ``channels`` and ``input_transform``.

    Raises:
        ValueError: there are fewer blocks than inputs.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        attention_type: str | None = None,
        interpolation: str = 'nearest',
        dropout_ratio: float = 0.0,
        norm_cfg: dict | None = dict(type='BN'),
        **kwargs,
    ) -> None:
        super().__init__(
            in_channels,
            decoder_channels[-1],
            input_transform='multiple_select',
            dropout_ratio=dropout_ratio,
            norm_cfg=norm_cfg,
            **kwargs,
        )
        if len(decoder_channels) < len(in_channels):
            raise ValueError(
                f'{type(self).__name__}: decoder_channels={list(decoder_channels)} has fewer entries than '
                f'in_channels={list(in_channels)}; expected one for each, or more'
            )
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 3, padding=1)
        deepest, *skips = reversed(in_channels)
        self.in_widths = [deepest, *decoder_channels[:-1]]
        self.skip_widths = skips + [0] * (len(decoder_channels) - len(skips))
        self.out_widths = list(decoder_channels)
        self._common = (interpolation, attention_type, norm_cfg, self.act_cfg)

    def _block(self, in_channels: int, skip_channels: int, out_channels: int) -> DecoderBlock:
        return DecoderBlock(in_channels, skip_channels, out_channels, *self._common)


@MODELS.register_module()
class UnetHead(SMPDecodeHead):
    """The decoder of ``segmentation_models_pytorch.Unet``, with its ``decoder.*`` as ``blocks.*``.

    Its ``segmentation_head.0`` is ``conv_seg``; see ``tools/model_converters/smp2mmseg.py``. Arguments:
    :class:`SMPDecodeHead`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.blocks = nn.ModuleList(map(self._block, self.in_widths, self.skip_widths, self.out_widths))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x, *skips = reversed(self._transform_inputs(inputs))
        for i, block in enumerate(self.blocks):
            x = block(x, skips[i] if i < len(skips) else None)
        return self.cls_seg(x)
