"""LocalBlend (Hertz et al. 2023, published code): a mask of where the edit may act, from attention maps.

As in the published code the maps of the target are those after refinement and re-weighting, and are read at the coarsest
resolution with cross-attention.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augment.config import AugmentConfig
from augment.diffusion.mixing import ColumnMix

# Published code: first step with blending as a share of all, dilation of the maps in cells
BLEND_START = 0.2
BLEND_DILATION = 3

BLOCKS = {'down-up': ('down', 'up'), 'down': ('down',), 'up': ('up',), 'all': ('down', 'mid', 'up')}


@dataclass(frozen=True)
class BlendOptions:
    """Parameters of LocalBlend.

    Attributes:
        threshold: Share of the largest value of a map from which on a cell is in the mask, 0 to 1.
        blocks: The UNet's blocks whose maps are read, a key of BLOCKS.
    """

    threshold: float = AugmentConfig.blend_threshold
    blocks: str = AugmentConfig.blend_blocks


class LocalBlend:
    """Running sum of the word's cross-attention maps of T targets, as they are used, that is, edited.

    The published code also sums the maps of the source at words of its prompt; there is no such word here.

    Attributes:
        size: Height and width of the maps.
        columns: ``(T, 77)``, 1 at the word's tokens in each target's prompt.
        options: Threshold and blocks.
        total: ``(T, h', w')`` float32, over steps, layers and heads.
    """

    def __init__(self, size: tuple[int, int], columns: Tensor, options: BlendOptions | None = None):
        self.size, self.columns, self.options = size, columns, options or BlendOptions()
        self.total = torch.zeros(len(columns), *size, device=columns.device)

    def reads(self, block: str, query: Tensor) -> bool:
        """Whether a layer of ``block`` (down, mid, up) with ``query (R, heads, P, d)`` is read."""
        return block in BLOCKS[self.options.blocks] and query.shape[2] == self.size[0] * self.size[1]

    def add(self, query: Tensor, key: Tensor, scale: float, mix: ColumnMix | None = None) -> None:
        """Add one layer's maps; ``query (T, heads, h'w', d)``, ``key (T, heads, 77, d)``.

        ``mix`` is the edit of the targets' maps, where the layer is edited at this step; the rows of the sources come
        before those of the targets then.
        """
        maps = (query @ key.transpose(-1, -2) * scale).float().softmax(dim=-1)
        if mix is not None:
            targets = len(maps) - len(self.columns)
            maps = mix.edited_maps(maps[:targets], maps[targets:])
        words = torch.einsum('nhpt,nt->np', maps, self.columns)
        self.total += words.view_as(self.total)

    def mask(self, size: tuple[int, int]) -> Tensor:
        """Binary mask ``(T, 1, h, w)`` for latents of ``size = (h, w)``: where the target attends to its word."""
        total = F.max_pool2d(self.total[:, None], BLEND_DILATION, stride=1, padding=BLEND_DILATION // 2)
        total = F.interpolate(total, size=size)
        total = total / total.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(total.dtype).tiny)
        return (total > self.options.threshold).float()


def coarsest_map(unet: nn.Module, latent_size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the coarsest cross-attention map in down and up blocks, which LocalBlend reads.

    16² in Stable Diffusion 1.4 at 512², 32² in SDXL at 1024². Each down block but the last halves the size, odd
    sizes rounding up.

    Raises:
        ValueError: There is no cross-attention in the down blocks.
    """
    height, width = latent_size
    size = None
    for index, block in enumerate(unet.down_blocks):
        if index:
            height, width = -(-height // 2), -(-width // 2)
        if any(getattr(module, 'is_cross_attention', False) for module in block.modules()):
            size = (height, width)
    if size is None:
        raise ValueError(
            f'{type(unet).__name__} has no cross-attention in its down blocks, which LocalBlend needs'
        )
    return size
