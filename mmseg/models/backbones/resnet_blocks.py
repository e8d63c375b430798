"""Residual blocks of ResNet (He et al., Deep Residual Learning for Image Recognition, CVPR 2016, figure 5)."""

from collections.abc import Sequence

import torch.utils.checkpoint as cp
from mmcv.cnn import build_conv_layer, build_norm_layer, build_plugin_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS


class _Block(BaseModule):
    """Common parts of both blocks: shortcut, last activation and recomputation."""

    expansion: int

    def __init__(self, stride: int, dilation: int, with_cp: bool, init_cfg: dict | None) -> None:
        super().__init__(init_cfg)
        self.stride = stride
        self.dilation = dilation
        self.with_cp = with_cp

    def _build(
        self, convs: Sequence[nn.Module], widths: Sequence[int], norm_cfg: dict, downsample: nn.Module | None
    ) -> None:
        """Register convolutions, norms and shortcut in upstream's order, by which optimizer states are indexed."""
        for i, (conv, width) in enumerate(zip(convs, widths), start=1):
            name, norm = build_norm_layer(norm_cfg, width, postfix=i)
            setattr(self, f'norm{i}_name', name)
            self.add_module(f'conv{i}', conv)
            self.add_module(name, norm)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def norm1(self) -> nn.Module:
        """Norm after the first convolution."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """Norm after the second convolution."""
        return getattr(self, self.norm2_name)

    def _residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _sum(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self._residual(x) + shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) to (N, planes * expansion, H/stride, W/stride)."""
        if self.with_cp and x.requires_grad:
            return self.relu(cp.checkpoint(self._sum, x, use_reentrant=False))
        return self.relu(self._sum(x))


class BasicBlock(_Block):
    """Two 3x3 convolutions, of ResNet-18 and -34. ``dcn`` and ``plugins`` need bottlenecks."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = 'pytorch',
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
        dcn: dict | None = None,
        plugins: Sequence[dict] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if dcn is not None or plugins:
            raise ValueError('dcn and plugins need bottleneck blocks: take depth 50, 101 or 152')
        super().__init__(stride, dilation, with_cp, init_cfg)
        convs = (
            build_conv_layer(
                conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
            ),
            build_conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False),
        )
        self._build(convs, (planes, planes), norm_cfg, downsample)

    def _residual(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(x))


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions, of ResNet-50 and deeper.

    Args:
        style: ``'pytorch'`` strides in the 3x3 convolution, ``'caffe'`` in the first 1x1.
        dcn: config of the 3x3 convolution; its ``fallback_on_stride`` keeps the plain one.
        plugins: ``dict(cfg=…, position='after_conv1' | 'after_conv2' | 'after_conv3')`` each, where ``cfg`` may
            hold a ``postfix`` that distinguishes plugins of one type.
        width: channels of the 3x3 convolution; ``planes`` if None.
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        style: str = 'pytorch',
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN'),
        dcn: dict | None = None,
        plugins: Sequence[dict] | None = None,
        init_cfg: dict | None = None,
        width: int | None = None,
    ) -> None:
        if style not in ('pytorch', 'caffe'):
            raise ValueError(f"style is 'pytorch' or 'caffe', got {style!r}")
        super().__init__(stride, dilation, with_cp, init_cfg)
        stride1, stride2 = (1, stride) if style == 'pytorch' else (stride, 1)
        outplanes = planes * self.expansion
        width = planes if width is None else width
        convs = (
            build_conv_layer(conv_cfg, inplanes, width, 1, stride=stride1, bias=False),
            self._middle_conv(conv_cfg, dcn, width, stride2, dilation),
            build_conv_layer(conv_cfg, width, outplanes, 1, bias=False),
        )
        self._build(convs, (width, width, outplanes), norm_cfg, downsample)
        self._plugin_names = self._add_plugins(
            plugins or (), dict(after_conv1=width, after_conv2=width, after_conv3=outplanes)
        )

    @property
    def norm3(self) -> nn.Module:
        """Norm after the third convolution."""
        return getattr(self, self.norm3_name)

    @staticmethod
    def _middle_conv(
        conv_cfg: dict | None, dcn: dict | None, planes: int, stride: int, dilation: int
    ) -> nn.Module:
        dcn = dict(dcn) if dcn is not None else None
        if dcn is not None and not dcn.pop('fallback_on_stride', False):
            if conv_cfg is not None:
                raise ValueError(
                    f'dcn and conv_cfg both name the 3x3 convolution: {dcn} and {conv_cfg}; drop one'
                )
            if MODELS.get(dcn['type']) is None:
                raise ValueError(
                    f'dcn={dcn}: {dcn["type"]!r} is a compiled operator that mmcv-lite lacks; '
                    'install full mmcv with its ops, or drop backbone.dcn'
                )
            conv_cfg = dcn
        return build_conv_layer(
            conv_cfg, planes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )

    def _add_plugins(self, plugins: Sequence[dict], channels: dict[str, int]) -> dict[str, list[str]]:
        names = {position: [] for position in channels}
        for plugin in plugins:
            position = plugin['position']
            if position not in channels:
                raise ValueError(f'plugin {plugin}: position is one of {list(channels)}, got {position!r}')
            cfg = dict(plugin['cfg'])
            postfix = cfg.pop('postfix', '')
            name, layer = build_plugin_layer(cfg, in_channels=channels[position], postfix=postfix)
            if hasattr(self, name):
                raise ValueError(f'two plugins are called {name!r}; give their cfg different postfix entries')
            self.add_module(name, layer)
            names[position].append(name)
        return names

    def _plugged(self, x: Tensor, position: str) -> Tensor:
        for name in self._plugin_names[position]:
            x = getattr(self, name)(x)
        return x

    def _residual(self, x: Tensor) -> Tensor:
        x = self._plugged(self.relu(self.norm1(self.conv1(x))), 'after_conv1')
        x = self._plugged(self.relu(self.norm2(self.conv2(x))), 'after_conv2')
        return self._plugged(self.norm3(self.conv3(x)), 'after_conv3')
