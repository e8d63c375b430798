"""mmcv's attention blocks with less memory and computation; state_dict keys and arguments are mmcv's.

As ``plugins`` of a ResNet they replace mmcv's own blocks, which fail on channels_last tensors.
"""

import torch
from mmcv.cnn.bricks.context_block import ContextBlock as _ContextBlock
from mmcv.cnn.bricks.non_local import NonLocal2d as _NonLocal2d
from torch import Tensor, nn
from torch.nn.functional import linear

from mmseg.registry import MODELS

from .self_attention_block import attend


@MODELS.register_module()
class ContextBlock(_ContextBlock):
    """Global context block (Cao et al., GCNet, ICCV workshops 2019, eq. 4): (N, C, H, W) to the same.

    Args: see ``mmcv.cnn.ContextBlock``.
    """

    def spatial_pool(self, x: Tensor) -> Tensor:
        """Mean of ``x`` over positions, (N, C, 1, 1): plain, or weighted by a softmax of ``conv_mask``."""
        if self.pooling_type == 'avg':
            return x.mean(dim=(2, 3), keepdim=True)
        weight = self.conv_mask(x).flatten(2).softmax(dim=2)
        return torch.bmm(x.flatten(2), weight.transpose(1, 2)).unsqueeze(3)


@MODELS.register_module()
class NonLocal2d(_NonLocal2d):
    """Non-local block (Wang et al., Non-local Neural Networks, CVPR 2018, eq. 6): (N, C, H, W) to the same.

    Both Gaussian modes go through ``scaled_dot_product_attention``; ``dot_product`` has no softmax and is
    therefore reordered to be linear in the number of positions.

    Args: see ``mmcv.cnn.NonLocal2d``.
    """

    def forward(self, x: Tensor) -> Tensor:
        value = self.g(x)
        if self.mode == 'gaussian':
            query, key = x, self.phi(x) if self.sub_sample else x
        else:
            query, key = self.theta(x), self.phi(x)
        if self.mode == 'dot_product':
            context = self._dot_product(query, key, value)
        elif self.mode == 'concatenation':
            context = self._concatenation(query, key, value)
        else:
            scaled = self.mode == 'embedded_gaussian' and self.use_scale
            context = attend(query, key, value, scale=self.inter_channels**-0.5 if scaled else 1.0)
        return x + self.conv_out(context)

    @staticmethod
    def _dot_product(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        key, value = key.flatten(2), value.flatten(2)
        # (value keyᵀ) query has C² entries, where value (keyᵀ query) has one per pair of positions.
        gathered = torch.bmm(value / value.shape[2], key.transpose(1, 2))
        return torch.bmm(gathered, query.flatten(2)).unflatten(2, query.shape[2:])

    def _concatenation(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        # The projection of a concatenated pair is the sum of a term of each: no tensor of pairs × channels.
        of_query, of_key = self.concat_project.conv.weight.flatten(1).split(self.inter_channels, dim=1)
        key_term = linear(key.flatten(2).transpose(1, 2), of_key).transpose(1, 2)
        pairs = linear(query.flatten(2).transpose(1, 2), of_query) + key_term
        pairs = nn.functional.relu(pairs) / pairs.shape[2]
        return torch.bmm(value.flatten(2), pairs.transpose(1, 2)).unflatten(2, query.shape[2:])
