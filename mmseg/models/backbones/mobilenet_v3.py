"""MobileNetV3. Howard et al., Searching for MobileNetV3, ICCV 2019, tables 1 and 2, section 6.4."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor

from mmseg.registry import MODELS

from ..utils.dilated import dilate_depthwise
from ..utils.inverted_residual import InvertedResidualV3
from ..utils.pretrained import BaseBackbone


@MODELS.register_module()
class MobileNetV3(BaseBackbone):
    """MobileNetV3 for segmentation: output stride 8, the last two downsamplings turned into dilation.

    Args:
        arch: ``'small'`` or ``'large'``.
        in_channels: of the images.
        conv_cfg, norm_cfg: of every convolution.
        out_indices: which layers' outputs ``forward`` returns; 0 is the stem.
        frozen_stages: layers 0 to this one neither train nor update statistics; -1 for none.
        reduction_factor: divides the channels of the last blocks.
        norm_eval: keep BatchNorm's running statistics fixed in training.
        with_cp: recompute activations in backward to save memory.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation; Kaiming for convolutions if neither is given.
    """

    # kernel size, hidden channels, output channels, squeeze-and-excitation, activation, stride
    arch_settings = {
        'small': (
            (3, 16, 16, True, 'ReLU', 2),
            (3, 72, 24, False, 'ReLU', 2),
            (3, 88, 24, False, 'ReLU', 1),
            (5, 96, 40, True, 'HSwish', 2),
            (5, 240, 40, True, 'HSwish', 1),
            (5, 240, 40, True, 'HSwish', 1),
            (5, 120, 48, True, 'HSwish', 1),
            (5, 144, 48, True, 'HSwish', 1),
            (5, 288, 96, True, 'HSwish', 2),
            (5, 576, 96, True, 'HSwish', 1),
            (5, 576, 96, True, 'HSwish', 1),
        ),
        'large': (
            (3, 16, 16, False, 'ReLU', 1),
            (3, 64, 24, False, 'ReLU', 2),
            (3, 72, 24, False, 'ReLU', 1),
            (5, 72, 40, True, 'ReLU', 2),
            (5, 120, 40, True, 'ReLU', 1),
            (5, 120, 40, True, 'ReLU', 1),
            (3, 240, 80, False, 'HSwish', 2),
            (3, 200, 80, False, 'HSwish', 1),
            (3, 184, 80, False, 'HSwish', 1),
            (3, 184, 80, False, 'HSwish', 1),
            (3, 480, 112, True, 'HSwish', 1),
            (3, 672, 112, True, 'HSwish', 1),
            (5, 672, 160, True, 'HSwish', 2),
            (5, 960, 160, True, 'HSwish', 1),
            (5, 960, 160, True, 'HSwish', 1),
        ),
    }
    # first layer with dilation 2, first with dilation 4, first of reduced width; channels of the last layer
    _segmentation = {'small': (4, 9, 9, 576), 'large': (7, 13, 13, 960)}

    def __init__(
        self,
        arch: str = 'small',
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN'),
        out_indices: Sequence[int] = (0, 1, 12),
        frozen_stages: int = -1,
        reduction_factor: int = 1,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        if arch not in self.arch_settings:
            raise ValueError(f"MobileNetV3: arch is 'small' or 'large', got {arch!r}")
        if self.init_cfg is None:
            self.init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', val=1, layer='BatchNorm2d'),
            ]
        if not isinstance(reduction_factor, int) or reduction_factor < 1:
            raise ValueError(f'MobileNetV3: reduction_factor is a positive integer, got {reduction_factor!r}')
        layers = len(self.arch_settings[arch]) + 2
        if not all(0 <= i < layers for i in out_indices):
            raise ValueError(f'MobileNetV3: out_indices are among 0 to {layers - 1}, got {list(out_indices)}')
        if not -1 <= frozen_stages < layers:
            raise ValueError(f'MobileNetV3: frozen_stages is -1 to {layers - 1}, got {frozen_stages}')
        if not isinstance(in_channels, int) or in_channels < 1:
            raise ValueError(f'MobileNetV3: in_channels is a positive integer, got {in_channels!r}')
        self.arch = arch
        self.in_channels = in_channels
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.reduction_factor = reduction_factor
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.layers = self._make_layer()
        self._freeze_stages()

    def _make_layer(self) -> list[str]:
        """Add all layers as ``layer0``, ``layer1``, …; returns their names."""
        dilated_2, dilated_4, reduced, last_channels = self._segmentation[self.arch]
        layers = [
            ConvModule(
                self.in_channels,
                16,
                3,
                stride=2,
                padding=1,
                conv_cfg=dict(type='mmseg.SamePadConv2d'),
                norm_cfg=self.norm_cfg,
                act_cfg=dict(type='HSwish'),
            )
        ]
        channels = 16
        for i, (kernel, hidden, out, with_se, act, stride) in enumerate(
            self.arch_settings[self.arch], start=1
        ):
            if i >= reduced:
                hidden, out = hidden // self.reduction_factor, out // self.reduction_factor
            se_cfg = dict(
                channels=hidden,
                ratio=4,
                act_cfg=(dict(type='ReLU'), dict(type='HSigmoid', bias=3.0, divisor=6.0)),
            )
            block = InvertedResidualV3(
                channels,
                out,
                hidden,
                kernel,
                stride,
                se_cfg=se_cfg if with_se else None,
                with_expand_conv=channels != hidden,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
                act_cfg=dict(type=act),
                with_cp=self.with_cp,
            )
            if i >= dilated_2:
                # the block has a shortcut or not according to its stride in the classification network
                dilate_depthwise(block.depthwise_conv.conv, dilation=4 if i >= dilated_4 else 2)
            layers.append(block)
            channels = out
        layers.append(
            ConvModule(
                channels,
                last_channels,
                1,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
                act_cfg=dict(type='HSwish'),
            )
        )
        for i, layer in enumerate(layers):
            self.add_module(f'layer{i}', layer)
        return [f'layer{i}' for i in range(len(layers))]

    def _freeze_stages(self) -> None:
        for i in range(self.frozen_stages + 1):
            layer = getattr(self, f'layer{i}')
            layer.eval()
            layer.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of the layers in ``out_indices`` from an image (N, in_channels, H, W) of any size."""
        outputs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
