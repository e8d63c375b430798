"""ConvNeXt, in the weight layout of mmpretrain, which mmsegmentation's configs use.

Liu et al., A ConvNet for the 2020s, CVPR 2022, section 2; V2 after Woo et al., ConvNeXt V2, CVPR 2023.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.utils.checkpoint as cp
from mmcv.cnn import build_activation_layer
from mmcv.cnn.bricks.drop import build_dropout
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.layer_norm import GRN, build_layer_norm
from ..utils.pretrained import BaseBackbone

#: Hidden channels of a block, as a multiple of its own.
MLP_RATIO = 4
_DEPTHS = {'small': (2, 2, 6, 2), 'nano': (2, 2, 8, 2), 'tiny': (3, 3, 9, 3), 'large': (3, 3, 27, 3)}


class ConvNeXtBlock(BaseModule):
    """A depthwise 7 x 7 convolution and two layers for each pixel, added to the input (figure 4).

    Args:
        channels: of the block.
        norm_cfg, act_cfg: of layer norm and activation.
        linear_pw_conv: the layers of each pixel are linear; False: 1 x 1 convolutions.
        use_grn: global response normalisation between them (V2).
        drop_path_rate: stochastic depth.
        layer_scale_init_value: initial factor of the branch, one per channel; 0: none.
        with_cp: recompute activations in backward to save memory.
    """

    def __init__(
        self,
        channels: int,
        norm_cfg: dict,
        act_cfg: dict,
        linear_pw_conv: bool,
        use_grn: bool,
        drop_path_rate: float,
        layer_scale_init_value: float,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.linear_pw_conv, self.with_cp = linear_pw_conv, with_cp
        hidden = MLP_RATIO * channels
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = build_layer_norm(norm_cfg, channels)
        layer = nn.Linear if linear_pw_conv else lambda *widths: nn.Conv2d(*widths, kernel_size=1)
        self.pointwise_conv1 = layer(channels, hidden)
        self.act = build_activation_layer(act_cfg)
        self.pointwise_conv2 = layer(hidden, channels)
        self.grn = GRN(hidden) if use_grn else None
        self.gamma = None
        if layer_scale_init_value > 0:
            self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(channels))
        self.drop_path = build_dropout(dict(type='DropPath', drop_prob=drop_path_rate))

    def _branch(self, x: Tensor) -> Tensor:
        x = self.depthwise_conv(x)
        if self.linear_pw_conv:
            x = self.norm(x.permute(0, 2, 3, 1), channels_last=True)
            x = self.pointwise_conv2(self._activated(self.pointwise_conv1(x), channels_last=True))
            x = x.permute(0, 3, 1, 2)
        else:
            x = self.pointwise_conv2(self._activated(self.pointwise_conv1(self.norm(x)), channels_last=False))
        return x if self.gamma is None else x * self.gamma.view(1, -1, 1, 1)

    def _activated(self, x: Tensor, channels_last: bool) -> Tensor:
        x = self.act(x)
        if self.grn is None:
            return x
        return self.grn(x) if channels_last else self.grn(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to maps of the same shape."""
        if self.with_cp and x.requires_grad:
            return x + self.drop_path(cp.checkpoint(self._branch, x, use_reentrant=False))
        return x + self.drop_path(self._branch(x))


@MODELS.register_module()
class ConvNeXt(BaseBackbone):
    """Four stages of :class:`ConvNeXtBlock`, with outputs at 1/4 to 1/32 of the image's size.

    Configs that name it ``mmpretrain.ConvNeXt`` get this class where mmpretrain is not installed.

    Args:
        arch: name of a size, or ``dict(depths=[…], channels=[…])`` with an entry for each stage.
        in_channels: of the image.
        stem_patch_size: size of the patches that become the pixels of the first stage.
        norm_cfg, act_cfg: of layer norms and activations.
        linear_pw_conv, use_grn, layer_scale_init_value, with_cp: of :class:`ConvNeXtBlock`.
        drop_path_rate: of the last block; those before it have a share that grows linearly from 0.
        out_indices: stages whose outputs are returned; negative ones count from the last.
        frozen_stages: so many stages, and the layers before them, are not trained.
        gap_before_final_norm: return the mean over pixels (N, C), as classifiers use it; set it to False.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation; truncated normal if neither is given.

    Raises:
        ValueError: an unknown size, or an index that is no stage.
    """

    arch_settings = {
        name: dict(depths=list(_DEPTHS[depths]), channels=[width * 2**i for i in range(4)])
        for name, depths, width in (
            ('atto', 'small', 40),
            ('femto', 'small', 48),
            ('pico', 'small', 64),
            ('nano', 'nano', 80),
            ('tiny', 'tiny', 96),
            ('small', 'large', 96),
            ('base', 'large', 128),
            ('large', 'large', 192),
            ('xlarge', 'large', 256),
            ('huge', 'large', 352),
        )
    }

    def __init__(
        self,
        arch: str | dict = 'tiny',
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: dict = dict(type='LN2d', eps=1e-6),
        act_cfg: dict = dict(type='GELU'),
        linear_pw_conv: bool = True,
        use_grn: bool = False,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: int | Sequence[int] = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = True,
        with_cp: bool = False,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None and pretrained is None:
            init_cfg = [
                dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02, bias=0.0),
                dict(type='Constant', layer=['LayerNorm'], val=1.0, bias=0.0),
            ]
        super().__init__(init_cfg, pretrained)
        depths, widths = self._sizes(arch)
        self.out_indices = self._stage_indices(out_indices, len(depths))
        self.frozen_stages, self.gap_before_final_norm = frozen_stages, gap_before_final_norm

        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        common = (norm_cfg, act_cfg, linear_pw_conv, use_grn)
        self.downsample_layers, self.stages = nn.ModuleList(), nn.ModuleList()
        for i, (depth, width) in enumerate(zip(depths, widths)):
            before = widths[i - 1] if i else in_channels
            size = 2 if i else stem_patch_size
            norm = build_layer_norm(norm_cfg, before if i else width)
            conv = nn.Conv2d(before, width, size, stride=size)
            self.downsample_layers.append(nn.Sequential(norm, conv) if i else nn.Sequential(conv, norm))
            self.stages.append(
                nn.Sequential(
                    *(
                        ConvNeXtBlock(width, *common, next(rates), layer_scale_init_value, with_cp)
                        for _ in range(depth)
                    )
                )
            )
        for i in self.out_indices:
            self.add_module(f'norm{i}', build_layer_norm(norm_cfg, widths[i]))
        self._freeze_stages()

    @classmethod
    def _sizes(cls, arch: str | dict) -> tuple[Sequence[int], Sequence[int]]:
        """Number of blocks and of channels of each stage."""
        if isinstance(arch, str):
            if arch not in cls.arch_settings:
                raise ValueError(
                    f'ConvNeXt: arch is one of {list(cls.arch_settings)} or a dict, got {arch!r}'
                )
            arch = cls.arch_settings[arch]
        depths, widths = arch.get('depths', ()), arch.get('channels', ())
        if not depths or len(depths) != len(widths):
            raise ValueError(
                f'ConvNeXt: arch={dict(arch)}, expected depths and channels with an entry for each stage'
            )
        return depths, widths

    @staticmethod
    def _stage_indices(out_indices: int | Sequence[int], stages: int) -> tuple[int, ...]:
        indices = [out_indices] if isinstance(out_indices, int) else list(out_indices)
        if not indices or not all(-stages <= i < stages for i in indices):
            raise ValueError(f'ConvNeXt: out_indices are among 0 to {stages - 1}, got {indices}')
        return tuple(i % stages for i in indices)

    def _freeze_stages(self) -> None:
        for part in (self.downsample_layers, self.stages):
            for module in part[: max(self.frozen_stages, 0)]:
                module.eval()
                module.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised maps of the stages in ``out_indices`` of an image (N, in_channels, H, W)."""
        outputs = []
        for i, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(downsample(x))
            if i in self.out_indices:
                norm = getattr(self, f'norm{i}')
                if self.gap_before_final_norm:
                    outputs.append(norm(x.mean(dim=(2, 3), keepdim=True)).flatten(1))
                else:
                    # its channels lie last in memory, which an export can not prove for sides that it leaves open
                    outputs.append(norm(x).contiguous() if torch.compiler.is_compiling() else norm(x))
        return tuple(outputs)
