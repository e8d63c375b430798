"""ResNet and its variants with a deep stem, dilated for segmentation.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016; variants C and D after He et al., Bag of
Tricks for Image Classification, CVPR 2019, section 4; dilation after Chen et al., DeepLabV3, 2017.
"""

import copy
from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.res_layer import ResLayer
from .resnet_blocks import BasicBlock, Bottleneck

__all__ = ['BasicBlock', 'Bottleneck', 'ResNet', 'ResNetV1c', 'ResNetV1d']


@MODELS.register_module()
class ResNet(BaseBackbone):
    """ResNet of 18, 34, 50, 101 or 152 layers.

    Args:
        depth: which of them.
        in_channels: of the image.
        stem_channels: of the stem's output.
        base_channels: inside of the first stage's blocks; doubles with each stage.
        num_stages: stages to build, 1 to 4.
        strides, dilations: of each stage.
        out_indices: stages whose output ``forward`` returns.
        style: ``'pytorch'`` strides in the 3x3 convolution of a bottleneck, ``'caffe'`` in the first 1x1.
        deep_stem: three 3x3 convolutions instead of one 7x7.
        avg_down: average-pool instead of striding in the shortcuts.
        frozen_stages: stages without training, counted from the stem: 0 the stem alone, -1 none.
        conv_cfg, norm_cfg: as everywhere in mmcv.
        norm_eval: keep BatchNorm's running statistics fixed in training.
        dcn: config of a deformable convolution for the 3x3 of bottlenecks; needs the compiled ops of full mmcv.
        stage_with_dcn: which stages have it.
        plugins: ``dict(cfg=…, stages=(bool, …), position='after_conv1' | 'after_conv2' | 'after_conv3')`` each.
        multi_grid: dilation of each block of the last stage.
        contract_dilation: halve the dilation of each dilated stage's first block.
        with_cp: recompute activations in the backward pass to save memory.
        zero_init_residual: initialise the last norm of each block to 0, so that blocks start as identity.
        pretrained: checkpoint, see ``mmseg.models.utils.pretrained``; short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation; Kaiming for convolutions if neither is given.

    Raises:
        ValueError: a depth, stage or plugin that doesn't exist, or lists of the wrong length.
    """

    arch_settings = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN', requires_grad=True),
        norm_eval: bool = False,
        dcn: dict | None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[dict] | None = None,
        multi_grid: Sequence[int] | None = None,
        contract_dilation: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        self._check(depth, num_stages, strides, dilations, out_indices, frozen_stages, dcn, stage_with_dcn)
        super().__init__(init_cfg, pretrained)
        self.block, stage_blocks = self.arch_settings[depth]
        block_init_cfg = self._default_init(zero_init_residual)
        self.depth = depth
        self.num_stages = num_stages
        self.out_indices = tuple(out_indices)
        self.deep_stem = deep_stem
        self.frozen_stages = frozen_stages
        self.conv_cfg, self.norm_cfg, self.norm_eval = conv_cfg, norm_cfg, norm_eval
        self.with_cp = with_cp
        self._make_stem_layer(in_channels, stem_channels)

        self.res_layers = []
        self.feat_dim = stem_channels
        for i, num_blocks in enumerate(stage_blocks[:num_stages]):
            self._add_stage(
                planes=base_channels * 2**i,
                num_blocks=num_blocks,
                stride=strides[i],
                dilation=dilations[i],
                style=style,
                avg_down=avg_down,
                dcn=dcn if stage_with_dcn[i] else None,
                plugins=self.make_stage_plugins(plugins, i),
                multi_grid=multi_grid if i == num_stages - 1 else None,
                contract_dilation=contract_dilation,
                init_cfg=block_init_cfg,
            )
        self._freeze_stages()

    def _add_stage(self, planes: int, **kwargs) -> None:
        """Append a stage on top of ``feat_dim`` channels, and set these to its output's."""
        common = dict(with_cp=self.with_cp, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg)
        layer = self.make_res_layer(
            block=self.block, inplanes=self.feat_dim, planes=planes, **common, **kwargs
        )
        name = f'layer{len(self.res_layers) + 1}'
        self.add_module(name, layer)
        self.res_layers.append(name)
        self.feat_dim = planes * self.block.expansion

    def _default_init(self, zero_init_residual: bool) -> dict | None:
        """Set ``init_cfg`` where the config has none; returns that of the blocks."""
        if self.init_cfg is not None:
            return None
        self.init_cfg = copy.deepcopy(KAIMING_INIT)
        if not zero_init_residual:
            return None
        last_norm = 'norm2' if self.block is BasicBlock else 'norm3'
        return dict(type='Constant', val=0, override=dict(name=last_norm))

    def _check(
        self, depth, num_stages, strides, dilations, out_indices, frozen_stages, dcn, stage_with_dcn
    ) -> None:
        name = type(self).__name__
        if depth not in self.arch_settings:
            raise ValueError(f'{name}: depth is one of {list(self.arch_settings)}, got {depth}')
        if not 1 <= num_stages <= 4:
            raise ValueError(f'{name}: num_stages is 1 to 4, got {num_stages}')
        lengths = dict(strides=strides, dilations=dilations)
        if dcn is not None:
            lengths['stage_with_dcn'] = stage_with_dcn
        for key, values in lengths.items():
            if len(values) != num_stages:
                raise ValueError(
                    f'{name}: {key} needs {num_stages} entries, one per stage, got {list(values)}'
                )
        if not out_indices or not all(0 <= i < num_stages for i in out_indices):
            raise ValueError(f'{name}: out_indices are among 0 to {num_stages - 1}, got {list(out_indices)}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'{name}: frozen_stages is -1 to {num_stages}, got {frozen_stages}')

    def make_stage_plugins(self, plugins: Sequence[dict] | None, stage_idx: int) -> list[dict] | None:
        """The ``cfg`` and ``position`` of those plugins that stage ``stage_idx`` (from 0) has."""
        if plugins is None:
            return None
        selected = []
        for plugin in plugins:
            stages = plugin.get('stages')
            if stages is not None and len(stages) != self.num_stages:
                raise ValueError(f'plugin {plugin}: stages needs {self.num_stages} entries, one per stage')
            if stages is None or stages[stage_idx]:
                selected.append(dict(cfg=plugin['cfg'], position=plugin['position']))
        return selected

    def make_res_layer(self, **kwargs) -> ResLayer:
        """One stage; subclasses with stages of another kind override it."""
        return ResLayer(**kwargs)

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        if self.deep_stem:
            half = stem_channels // 2
            layers = []
            for source, target, stride in ((in_channels, half, 2), (half, half, 1), (half, stem_channels, 1)):
                conv = build_conv_layer(
                    self.conv_cfg, source, target, 3, stride=stride, padding=1, bias=False
                )
                layers += [conv, build_norm_layer(self.norm_cfg, target)[1], nn.ReLU(inplace=True)]
            self.stem = nn.Sequential(*layers)
        else:
            self.conv1 = build_conv_layer(
                self.conv_cfg, in_channels, stem_channels, 7, stride=2, padding=3, bias=False
            )
            self.norm1_name, norm1 = build_norm_layer(self.norm_cfg, stem_channels, postfix=1)
            self.add_module(self.norm1_name, norm1)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    @property
    def norm1(self) -> nn.Module:
        """Norm of the plain stem."""
        return getattr(self, self.norm1_name)

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [self.stem] if self.deep_stem else [self.conv1, self.norm1]
        frozen += [getattr(self, name) for name in self.res_layers[: self.frozen_stages]]
        for module in frozen:
            module.eval()
            module.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of the stages in ``out_indices`` from an image (N, in_channels, H, W) of any size."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        outputs = []
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


@MODELS.register_module()
class ResNetV1c(ResNet):
    """ResNet with a deep stem; the variant of most segmentation checkpoints."""

    def __init__(self, **kwargs) -> None:
        super().__init__(deep_stem=True, avg_down=False, **kwargs)


@MODELS.register_module()
class ResNetV1d(ResNet):
    """ResNet with a deep stem and average pooling in the shortcuts."""

    def __init__(self, **kwargs) -> None:
        super().__init__(deep_stem=True, avg_down=True, **kwargs)
