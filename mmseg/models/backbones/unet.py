"""U-Net. Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015."""

from collections.abc import Sequence

import torch.utils.checkpoint as cp
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.up_conv_block import UpConvBlock
from ..utils.wrappers import Upsample


def _checkpointed(module: nn.Module, x: Tensor, with_cp: bool) -> Tensor:
    """``module(x)``; with ``with_cp`` its activations are computed again in the backward pass."""
    return cp.checkpoint(module, x, use_reentrant=False) if with_cp and x.requires_grad else module(x)


class BasicConvBlock(nn.Module):
    """3 x 3 convolutions; the first has the stride, the others the dilation.

    Args:
        in_channels, out_channels: of the block.
        num_convs: number of convolutions.
        stride: of the first one.
        dilation: of all but the first one.
        with_cp: recompute activations in backward to save memory.
        conv_cfg, norm_cfg, act_cfg: as everywhere in mmcv.
        dcn, plugins: part of the interface; only None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_convs: int = 2,
        stride: int = 1,
        dilation: int = 1,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        dcn: None = None,
        plugins: None = None,
    ) -> None:
        super().__init__()
        if dcn is not None or plugins is not None:
            raise ValueError('BasicConvBlock: dcn and plugins are not implemented; leave them out')
        self.with_cp = with_cp
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        convs = [ConvModule(in_channels, out_channels, 3, stride=stride, padding=1, **common)]
        for _ in range(num_convs - 1):
            convs.append(
                ConvModule(out_channels, out_channels, 3, padding=dilation, dilation=dilation, **common)
            )
        self.convs = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> Tensor:
        return _checkpointed(self.convs, x, self.with_cp)


@MODELS.register_module()
class DeconvModule(nn.Module):
    """Upsampling by a transposed convolution.

    Args:
        in_channels, out_channels: of the module.
        with_cp: recompute activations in backward to save memory.
        norm_cfg, act_cfg: as everywhere in mmcv.
        kernel_size: a multiple of ``scale_factor``, plus an even number, so that sizes are multiplied exactly.
        scale_factor: of the sizes.

    Raises:
        ValueError: ``kernel_size`` does not fit ``scale_factor``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        with_cp: bool = False,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        *,
        kernel_size: int = 4,
        scale_factor: int = 2,
    ) -> None:
        super().__init__()
        if kernel_size < scale_factor or (kernel_size - scale_factor) % 2:
            raise ValueError(
                f'DeconvModule: kernel_size={kernel_size}, expected scale_factor={scale_factor} plus an even number'
            )
        self.with_cp = with_cp
        padding = (kernel_size - scale_factor) // 2
        deconv = nn.ConvTranspose2d(in_channels, out_channels, kernel_size, scale_factor, padding)
        norm = build_norm_layer(norm_cfg, out_channels)[1]
        self.deconv_upsamping = nn.Sequential(
            deconv, norm, build_activation_layer(act_cfg)
        )  # upstream's name

    def forward(self, x: Tensor) -> Tensor:
        return _checkpointed(self.deconv_upsamping, x, self.with_cp)


@MODELS.register_module()
class InterpConv(nn.Module):
    """Upsampling by interpolation and a convolution, in either order.

    Args:
        in_channels, out_channels: of the module.
        with_cp: recompute activations in backward to save memory.
        norm_cfg, act_cfg, conv_cfg: as everywhere in mmcv.
        conv_first: convolve before the interpolation.
        kernel_size, stride, padding: of the convolution.
        upsample_cfg: arguments of :class:`Upsample`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        with_cp: bool = False,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        *,
        conv_cfg: dict | None = None,
        conv_first: bool = False,
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        upsample_cfg: dict = dict(scale_factor=2, mode='bilinear', align_corners=False),
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        conv = ConvModule(in_channels, out_channels, kernel_size, stride, padding, **common)
        upsample = Upsample(**upsample_cfg)
        self.interp_upsample = nn.Sequential(*((conv, upsample) if conv_first else (upsample, conv)))

    def forward(self, x: Tensor) -> Tensor:
        return _checkpointed(self.interp_upsample, x, self.with_cp)


@MODELS.register_module()
class UNet(BaseBackbone):
    """Encoder and decoder of U-Net; the outputs are those of the decoder's stages, deepest first.

    Args:
        in_channels: of the image.
        base_channels: of the first stage; each stage has twice those of the one before.
        num_stages: stages of the encoder.
        strides: of the first convolution of each stage.
        enc_num_convs, dec_num_convs: convolutions of each stage; the decoder has one stage less.
        downsamples: whether each stage but the first begins at half the size: by max-pooling, or by its stride if that
            is 2.
        enc_dilations, dec_dilations: of each stage.
        with_cp: recompute activations in backward to save memory.
        conv_cfg, norm_cfg, act_cfg: as everywhere in mmcv.
        upsample_cfg: of the decoder, type ``InterpConv`` or ``DeconvModule``.
        norm_eval: leave BN in eval mode in training.
        dcn, plugins: part of the interface; only None.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation.

    Raises:
        ValueError: a list has not one entry per stage.
    """

    default_init = KAIMING_INIT

    def __init__(
        self,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 5,
        strides: Sequence[int] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[int] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[int] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[int] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU'),
        upsample_cfg: dict = dict(type='InterpConv'),
        norm_eval: bool = False,
        dcn: None = None,
        plugins: None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        if dcn is not None or plugins is not None:
            raise ValueError('UNet: dcn and plugins are not implemented; leave them out')
        lengths = dict(strides=strides, enc_num_convs=enc_num_convs, enc_dilations=enc_dilations)
        shorter = dict(dec_num_convs=dec_num_convs, downsamples=downsamples, dec_dilations=dec_dilations)
        for offset, group in enumerate((lengths, shorter)):
            for name, values in group.items():
                if len(values) != num_stages - offset:
                    raise ValueError(
                        f'UNet: {name}={tuple(values)}, expected {num_stages - offset} entries for {num_stages} stages'
                    )
        self.norm_eval = norm_eval
        common = dict(with_cp=with_cp, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        widths = [in_channels, *(base_channels * 2**i for i in range(num_stages))]
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.reduction = 1
        for i in range(num_stages):
            shrinks = i > 0 and (strides[i] != 1 or downsamples[i - 1])
            pool = [nn.MaxPool2d(2)] if shrinks and strides[i] == 1 else []
            block = BasicConvBlock(
                widths[i], widths[i + 1], enc_num_convs[i], strides[i], enc_dilations[i], **common
            )
            self.encoder.append(nn.Sequential(*pool, block))
            self.reduction *= 2 if shrinks else strides[i]
            if i > 0:
                width = widths[i]
                step = dict(num_convs=dec_num_convs[i - 1], dilation=dec_dilations[i - 1], **common)
                upsample = upsample_cfg if shrinks else None
                self.decoder.append(
                    UpConvBlock(BasicConvBlock, 2 * width, width, width, upsample_cfg=upsample, **step)
                )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps from the deepest stage to one of ``base_channels`` at the size of the image (N, C, H, W).

        Raises:
            ValueError: a side is no multiple of the reduction of the encoder.
        """
        if any(side % self.reduction for side in x.shape[2:]):
            raise ValueError(
                f'UNet: sides of {tuple(x.shape[2:])} are no multiples of {self.reduction}; set '
                f'model.data_preprocessor.size or size_divisor={self.reduction}, in tests '
                f'model.data_preprocessor.test_cfg=dict(size_divisor={self.reduction})'
            )
        skipped = []
        for stage in self.encoder:
            x = stage(x)
            skipped.append(x)
        outputs = [x]
        for stage, skip in zip(reversed(self.decoder), reversed(skipped[:-1])):
            x = stage(skip, x)
            outputs.append(x)
        return tuple(outputs)
