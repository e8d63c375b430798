"""DPT. Ranftl, Bochkovskiy and Koltun, Vision Transformers for Dense Prediction, ICCV 2021, figure 1."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_activation_layer
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead

READOUT_TYPES = ('ignore', 'add', 'project')


class ReassembleBlocks(nn.Module):
    """Maps of one stride to a pyramid of strides 1/4, 1/2, 1 and 2 of it (figure 1, centre).

    Args:
        in_channels: of every map.
        out_channels: of each output.
        readout_type: what becomes of the class token: ``'ignore'``, ``'add'`` to every position, or ``'project'``
            together with each position.
    """

    def __init__(self, in_channels: int, out_channels: Sequence[int], readout_type: str) -> None:
        super().__init__()
        self.readout_type = readout_type
        self.projects = nn.ModuleList(
            ConvModule(in_channels, width, kernel_size=1, act_cfg=None) for width in out_channels
        )
        first, second, _, last = out_channels
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, kernel_size=4, stride=4),
                nn.ConvTranspose2d(second, second, kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(last, last, kernel_size=3, stride=2, padding=1),
            ]
        )
        if readout_type == 'project':
            self.readout_projects = nn.ModuleList(
                nn.Sequential(
                    nn.Linear(2 * in_channels, in_channels), build_activation_layer(dict(type='GELU'))
                )
                for _ in out_channels
            )

    def _read(self, level: int, inputs: Tensor | Sequence[Tensor]) -> Tensor:
        """The map of a level with its class token in it."""
        if self.readout_type == 'ignore':
            return inputs if isinstance(inputs, Tensor) else inputs[0]
        x, token = inputs
        if self.readout_type == 'add':
            return x + token[..., None, None]
        positions = x.flatten(2).transpose(1, 2)
        both = torch.cat([positions, token.unsqueeze(1).expand_as(positions)], dim=-1)
        # contiguous: an export can not tell the strides of what is computed from a view of tokens
        return self.readout_projects[level](both).transpose(1, 2).contiguous().reshape(x.shape)

    def forward(self, inputs: Sequence[Tensor | Sequence[Tensor]]) -> list[Tensor]:
        return [
            resize_layer(project(self._read(level, x)))
            for level, (x, project, resize_layer) in enumerate(zip(inputs, self.projects, self.resize_layers))
        ]


class PreActResidualConvUnit(nn.Module):
    """Two convolutions, each after an activation, around an identity (figure 1, right)."""

    def __init__(self, channels: int, act_cfg: dict, norm_cfg: dict | None) -> None:
        super().__init__()
        common = dict(padding=1, bias=False, norm_cfg=norm_cfg, act_cfg=act_cfg, inplace=False)
        order = ('act', 'conv', 'norm')
        self.conv1 = ConvModule(channels, channels, 3, order=order, **common)
        self.conv2 = ConvModule(channels, channels, 3, order=order, **common)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x))


class FeatureFusionBlock(nn.Module):
    """Add a level to what comes from the deeper ones, refine, enlarge twofold (figure 1, right).

    Args:
        channels: of input and output.
        act_cfg, norm_cfg: as everywhere in mmcv.
        deepest: there is nothing deeper.
    """

    def __init__(self, channels: int, act_cfg: dict, norm_cfg: dict | None, deepest: bool) -> None:
        super().__init__()
        self.project = ConvModule(channels, channels, 1, act_cfg=None, bias=True)
        self.res_conv_unit1 = None if deepest else PreActResidualConvUnit(channels, act_cfg, norm_cfg)
        self.res_conv_unit2 = PreActResidualConvUnit(channels, act_cfg, norm_cfg)

    def forward(self, level: Tensor, deeper: Tensor | None = None) -> Tensor:
        if deeper is not None:
            level = resize(level, deeper.shape[2:], mode='bilinear', align_corners=False)
            level = deeper + self.res_conv_unit1(level)
        x = self.res_conv_unit2(level)
        size = tuple(2 * side for side in x.shape[2:])
        return self.project(resize(x, size, mode='bilinear', align_corners=True, warning=False))


@MODELS.register_module()
class DPTHead(BaseDecodeHead):
    """A pyramid from four maps of a plain transformer, and fusion from its deepest level to its shallowest.

    The logits have half the sides of the shallowest level: 8 / ``patch_size`` of the image's sides.

    Args:
        embed_dims: channels of the transformer.
        post_process_channels: of the four levels.
        readout_type: ``'ignore'``, or what is done with the class tokens: ``'add'`` or ``'project'``. The backbone
            then returns (map, class token) pairs: ``output_cls_token=True``.
        patch_size: of the transformer; has no effect.
        expand_channels: double the channels from level to level.
        act_cfg, norm_cfg: as everywhere in mmcv.
        kwargs: of :class:`BaseDecodeHead`; ``input_transform`` is ``'multiple_select'``.

    Raises:
        ValueError: ``readout_type`` is unknown, or there are not four levels.
    """

    def __init__(
        self,
        embed_dims: int = 768,
        post_process_channels: Sequence[int] = (96, 192, 384, 768),
        readout_type: str = 'ignore',
        patch_size: int = 16,
        expand_channels: bool = False,
        act_cfg: dict = dict(type='ReLU'),
        norm_cfg: dict | None = dict(type='BN'),
        **kwargs,
    ) -> None:
        kwargs.setdefault('input_transform', 'multiple_select')
        super().__init__(act_cfg=act_cfg, norm_cfg=norm_cfg, **kwargs)
        if readout_type not in READOUT_TYPES:
            raise ValueError(f'DPTHead: readout_type is one of {READOUT_TYPES}, got {readout_type!r}')
        if len(post_process_channels) != 4 or len(self.in_index) != 4:
            raise ValueError(
                f'DPTHead: post_process_channels={list(post_process_channels)} and in_index={self.in_index}, expected '
                'four levels'
            )
        self.reassemble_blocks = ReassembleBlocks(embed_dims, post_process_channels, readout_type)
        widths = [width * 2**i if expand_channels else width for i, width in enumerate(post_process_channels)]
        self.convs = nn.ModuleList(
            ConvModule(width, self.channels, kernel_size=3, padding=1, act_cfg=None, bias=False)
            for width in widths
        )
        self.fusion_blocks = nn.ModuleList(
            FeatureFusionBlock(self.channels, act_cfg, norm_cfg, deepest=i == 0) for i in range(4)
        )
        self.project = ConvModule(self.channels, self.channels, kernel_size=3, padding=1, norm_cfg=norm_cfg)

    def forward(self, inputs: Sequence[Tensor | Sequence[Tensor]]) -> Tensor:
        levels = self.reassemble_blocks(self._transform_inputs(inputs))
        *shallower, x = (conv(level) for conv, level in zip(self.convs, levels))
        x = self.fusion_blocks[0](x)
        for block, level in zip(self.fusion_blocks[1:], reversed(shallower)):
            x = block(level, x)
        return self.cls_seg(self.project(x))
