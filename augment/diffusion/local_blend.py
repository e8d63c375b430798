"""LocalBlend (Hertz et al. 2023, published code): a mask of where the edit may act, from attention maps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Published code: first step with blending as a share of all, threshold on the normalised map, dilation in cells
BLEND_START = 0.2
BLEND_THRESHOLD = 0.3
BLEND_DILATION = 3


class LocalBlend:
    """Running sum of the word's cross-attention maps at the coarsest resolution, before they are edited.

    Attributes:
        size: Height and width of the maps.
        columns: ``(2N, 77)``, 1 at the word's tokens in each row's prompt.
        total: ``(2N, h', w')`` float32, over steps, layers and heads.
    """

    def __init__(self, size: tuple[int, int], columns: Tensor):
        self.size, self.columns = size, columns
        self.total = torch.zeros(len(columns), *size, device=columns.device)

    def reads(self, query: Tensor) -> bool:
        """Whether a layer with ``query (R, heads, P, d)`` has maps of this resolution."""
        return query.shape[2] == self.size[0] * self.size[1]

    def add(self, query: Tensor, key: Tensor, scale: float) -> None:
        """Add one layer's maps; ``query (2N, heads, h'w', d)``, ``key (2N, heads, 77, d)``."""
        maps = (query @ key.transpose(-1, -2) * scale).float().softmax(dim=-1)
        words = torch.einsum('nhpt,nt->np', maps, self.columns)
        self.total += words.view_as(self.total)

    def mask(self, size: tuple[int, int]) -> Tensor:
        """Binary mask ``(N, 1, h, w)`` for latents of ``size = (h, w)``: where either branch attends to its word.

        A branch without the word adds nothing.
        """
        total = F.max_pool2d(self.total[:, None], BLEND_DILATION, stride=1, padding=BLEND_DILATION // 2)
        total = F.interpolate(total, size=size)
        total = total / total.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(total.dtype).tiny)
        source, target = (total > BLEND_THRESHOLD).chunk(2)
        return (source | target).float()


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
