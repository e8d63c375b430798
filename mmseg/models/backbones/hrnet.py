"""HRNet. Sun et al., Deep High-Resolution Representation Learning for Visual Recognition, 2019, section 3."""

from collections.abc import Sequence

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..utils.pretrained import KAIMING_INIT, BaseBackbone
from ..utils.res_layer import ResLayer
from ..utils.wrappers import Upsample, resize
from .resnet_blocks import BasicBlock, Bottleneck

_BLOCKS = {'BASIC': BasicBlock, 'BOTTLENECK': Bottleneck}
#: Channels of the two convolutions before the first stage.
STEM_CHANNELS = 64


def _conv(
    in_channels: int, out_channels: int, size: int, stride: int, conv_cfg: dict | None, norm_cfg: dict
) -> list[nn.Module]:
    conv = build_conv_layer(
        conv_cfg, in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False
    )
    return [conv, build_norm_layer(norm_cfg, out_channels)[1]]


class HRModule(BaseModule):
    """Parallel branches of residual blocks, each then gets the sum of all (figure 3).

    Args:
        block: of the branches.
        num_blocks: of each branch.
        in_channels, num_channels: of each branch, before it and inside its blocks.
        multiscale_output: all branches have an output; False: the first one.
        with_cp: recompute activations in backward to save memory.
        conv_cfg, norm_cfg: as everywhere in mmcv.
        block_init_cfg: weight initialisation of the blocks.
    """

    def __init__(
        self,
        block: type[nn.Module],
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        multiscale_output: bool,
        with_cp: bool,
        conv_cfg: dict | None,
        norm_cfg: dict,
        block_init_cfg: dict | None,
    ) -> None:
        super().__init__()
        common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.branches = nn.ModuleList(
            ResLayer(block, *widths, with_cp=with_cp, init_cfg=block_init_cfg, **common)
            for widths in zip(in_channels, num_channels, num_blocks)
        )
        widths = [channels * block.expansion for channels in num_channels]
        outputs = len(widths) if multiscale_output else 1
        self.fuse_layers = None
        if len(widths) > 1:
            self.fuse_layers = nn.ModuleList(
                nn.ModuleList(_fuse_layer(widths, i, j, **common) for j in range(len(widths)))
                for i in range(outputs)
            )
        self.relu = nn.ReLU(inplace=False)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """One map per branch from one map per branch."""
        x = [branch(one) for branch, one in zip(self.branches, x)]
        if self.fuse_layers is None:
            return x
        return [self.relu(self._sum(layers, x, i)) for i, layers in enumerate(self.fuse_layers)]

    @staticmethod
    def _sum(layers: nn.ModuleList, x: Sequence[Tensor], i: int) -> Tensor:
        total = 0
        for j, (layer, one) in enumerate(zip(layers, x)):
            term = one if j == i else layer(one)
            if j > i:
                term = resize(term, x[i].shape[2:], mode='bilinear', align_corners=False)
            total = total + term
        return total


def _fuse_layer(widths: Sequence[int], i: int, j: int, conv_cfg: dict | None, norm_cfg: dict) -> nn.Module:
    """From branch j to branch i: enlarged, as it is, or by 3 x 3 convolutions of stride 2."""
    common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
    if j > i:
        upsample = Upsample(scale_factor=2 ** (j - i), mode='bilinear', align_corners=False)
        return nn.Sequential(*_conv(widths[j], widths[i], 1, 1, **common), upsample)
    if j == i:
        return nn.Identity()
    steps = [nn.Sequential(*_conv(widths[j], widths[j], 3, 2, **common), nn.ReLU()) for _ in range(i - j - 1)]
    return nn.Sequential(*steps, nn.Sequential(*_conv(widths[j], widths[i], 3, 2, **common)))


@MODELS.register_module()
class HRNet(BaseBackbone):
    """Four stages that keep a branch of 1/4 of the image's size and add one of half the size each.

    Args:
        extra: ``stage1`` to ``stage4``, each with ``num_modules``, ``num_branches``, ``block`` (BASIC, BOTTLENECK), and
            ``num_blocks`` and ``num_channels`` of each branch.
        in_channels: of the image.
        conv_cfg, norm_cfg: as everywhere in mmcv.
        norm_eval: leave BN in eval mode in training.
        with_cp: recompute activations in backward to save memory.
        frozen_stages: 0 freezes the first two convolutions, n also the stages up to n; -1 nothing.
        zero_init_residual: initialise the last norm of each block to zero.
        multiscale_output: return all branches; False: the one of 1/4 alone.
        pretrained: checkpoint, short for an ``init_cfg`` of ``Pretrained``.
        init_cfg: weight initialisation.

    Raises:
        ValueError: a stage is missing, or its lists have not one entry per branch.
    """

    default_init = KAIMING_INIT

    def __init__(
        self,
        extra: dict,
        in_channels: int = 3,
        conv_cfg: dict | None = None,
        norm_cfg: dict = dict(type='BN', requires_grad=True),
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_stages: int = -1,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg, pretrained)
        stages = [_stage(extra, number) for number in range(1, 5)]
        self.norm_eval, self.with_cp, self.frozen_stages = norm_eval, with_cp, frozen_stages
        self._common = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self._zero_init = zero_init_residual
        for number, width in ((1, in_channels), (2, STEM_CHANNELS)):
            conv, norm = _conv(width, STEM_CHANNELS, 3, 2, **self._common)
            self.add_module(f'conv{number}', conv)
            self.add_module(f'bn{number}', norm)
        self.relu = nn.ReLU(inplace=True)

        first = stages[0]
        block = _BLOCKS[first['block']]
        planes, count = first['num_channels'][0], first['num_blocks'][0]
        self.layer1 = ResLayer(
            block,
            STEM_CHANNELS,
            planes,
            count,
            with_cp=with_cp,
            init_cfg=self._block_init(block),
            **self._common,
        )
        widths = [planes * block.expansion]
        for number, stage in enumerate(stages[1:], start=2):
            block = _BLOCKS[stage['block']]
            following = [channels * block.expansion for channels in stage['num_channels']]
            self.add_module(f'transition{number - 1}', self._transition(widths, following))
            everywhere = multiscale_output or number < 4
            self.add_module(f'stage{number}', self._modules_of(stage, block, following, everywhere))
            widths = following
        self._freeze_stages()

    def _block_init(self, block: type[nn.Module]) -> dict | None:
        name = 'norm3' if block is Bottleneck else 'norm2'
        return dict(type='Constant', val=0, override=dict(name=name)) if self._zero_init else None

    def _transition(self, widths: Sequence[int], following: Sequence[int]) -> nn.ModuleList:
        """From the branches of a stage to those of the next one: of other widths, and new ones from the last."""
        layers = nn.ModuleList()
        for i, width in enumerate(following):
            if i < len(widths):
                same = widths[i] == width
                conv = [] if same else [*_conv(widths[i], width, 3, 1, **self._common), nn.ReLU(inplace=True)]
                layers.append(nn.Sequential(*conv))
                continue
            steps = i + 1 - len(widths)
            outputs = [widths[-1]] * (steps - 1) + [width]
            layers.append(
                nn.Sequential(
                    *(
                        nn.Sequential(*_conv(widths[-1], out, 3, 2, **self._common), nn.ReLU(inplace=True))
                        for out in outputs
                    )
                )
            )
        return layers

    def _modules_of(
        self, stage: dict, block: type[nn.Module], widths: Sequence[int], multiscale_output: bool
    ) -> nn.Sequential:
        count = stage['num_modules']
        return nn.Sequential(
            *(
                HRModule(
                    block,
                    stage['num_blocks'],
                    widths,
                    stage['num_channels'],
                    multiscale_output or i < count - 1,
                    self.with_cp,
                    block_init_cfg=self._block_init(block),
                    **self._common,
                )
                for i in range(count)
            )
        )

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [self.conv1, self.bn1, self.conv2, self.bn2]
        frozen += [self.layer1] if self.frozen_stages > 0 else []
        for number in range(2, self.frozen_stages + 1):
            frozen += [getattr(self, f'transition{number - 1}'), getattr(self, f'stage{number}')]
        for module in frozen:
            module.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps at 1/4, 1/8, 1/16 and 1/32 of the size of an image (N, in_channels, H, W)."""
        x = self.relu(self.bn1(self.conv1(x)))
        branches = [self.layer1(self.relu(self.bn2(self.conv2(x))))]
        for number in range(2, 5):
            transition = getattr(self, f'transition{number - 1}')
            branches = [layer(branches[min(i, len(branches) - 1)]) for i, layer in enumerate(transition)]
            branches = getattr(self, f'stage{number}')(branches)
        return tuple(branches)


def _stage(extra: dict, number: int) -> dict:
    """The settings of a stage, checked."""
    stage = extra.get(f'stage{number}')
    if stage is None:
        raise ValueError(f'HRNet: extra has no stage{number}, expected stage1 to stage4')
    if stage['block'] not in _BLOCKS:
        raise ValueError(f'HRNet: stage{number}.block={stage["block"]!r}, expected BASIC or BOTTLENECK')
    for key in ('num_blocks', 'num_channels'):
        if len(stage[key]) != stage['num_branches']:
            raise ValueError(
                f'HRNet: stage{number}.{key}={tuple(stage[key])}, expected num_branches={stage["num_branches"]} entries'
            )
    return stage
