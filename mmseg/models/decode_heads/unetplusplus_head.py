"""U-Net++'s decoder in the layout of segmentation_models_pytorch. Zhou et al., UNet++, DLMIA 2018, equation 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg.registry import MODELS

from .unet_head import SMPDecodeHead


@MODELS.register_module()
class UnetPlusPlusHead(SMPDecodeHead):
    """The decoder of ``segmentation_models_pytorch.UnetPlusPlus``, with its ``decoder.*`` as ``blocks.*``.

    Node (start, level) begins with the encoder's output ``start``, counted from the deepest, and has the size of the
    output ``level + 1``. It enlarges node (start, level - 1), or for ``start == level`` the output itself, and
    concatenates the nodes (start + 1, level) to (level, level) and the output ``level + 1``. Node (0, level) is
    that of a U-Net. Arguments: :class:`SMPDecodeHead`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.blocks = nn.ModuleDict()
        self._dense = sum(width > 0 for width in self.skip_widths)  # levels that have a skip connection
        for level in range(self._dense):
            skip, below = self.skip_widths[level], self.skip_widths[level - 1]
            for start in range(level + 1):
                # all nodes of a level but the first have the width of its skip connection
                nodes = (level - start + 1) * skip
                if start == 0:
                    block = self._block(self.in_widths[level], nodes, self.out_widths[level])
                else:
                    block = self._block(below, nodes, skip)
                self.blocks[f'x_{start}_{level}'] = block
        for level in range(self._dense, len(self.out_widths)):
            self.blocks[f'x_0_{level}'] = self._block(self.in_widths[level], 0, self.out_widths[level])

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, num_classes, H, W) from the encoder's maps, shallow to deep."""
        features = list(reversed(self._transform_inputs(inputs)))
        nodes = features[:-1]  # by start: the last node of each, at first the encoder's output
        for level in range(self._dense):
            for start in range(level, -1, -1):
                skip = torch.cat([*nodes[start + 1 : level + 1], features[level + 1]], dim=1)
                nodes[start] = self.blocks[f'x_{start}_{level}'](nodes[start], skip)
        x = nodes[0]
        for level in range(self._dense, len(self.out_widths)):
            x = self.blocks[f'x_0_{level}'](x)
        return self.cls_seg(x)
