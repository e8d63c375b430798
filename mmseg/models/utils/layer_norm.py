"""Normalisation of images of any size over their channels."""

import torch
from torch import Tensor, nn


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel, of maps (N, C, H, W) or, with ``channels_last``, (N, H, W, C)."""

    def forward(self, x: Tensor, channels_last: bool = False) -> Tensor:
        if channels_last:
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GRN(nn.Module):
    """Global response normalisation of maps (N, H, W, C). Woo et al., ConvNeXt V2, CVPR 2023, section 3.

    Args:
        channels: of the maps.
        eps: added to the mean over channels of their norms.
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm = x.square().sum(dim=(1, 2), keepdim=True).sqrt()
        response = norm / (norm.mean(dim=-1, keepdim=True) + self.eps)
        return torch.addcmul(x + self.beta, self.gamma, x * response)


def build_layer_norm(norm_cfg: dict, channels: int) -> LayerNorm2d:
    """The norm of ``norm_cfg``, ``dict(type='LN2d', eps=…)`` or ``LN``, for so many channels.

    Raises:
        ValueError: another type.
    """
    kwargs = dict(norm_cfg)
    kind = kwargs.pop('type')
    kwargs.pop('requires_grad', None)
    if kind not in ('LN2d', 'LN'):
        raise ValueError(f"norm_cfg of type {kind!r}, expected 'LN2d' or 'LN' (layer norm over the channels)")
    return LayerNorm2d(channels, **kwargs)
