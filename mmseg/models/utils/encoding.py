"""The encoding layer of EncNet. Zhang et al., Context Encoding for Semantic Segmentation, CVPR 2018, section 3.1."""

import torch
from torch import Tensor, nn


class Encoding(nn.Module):
    """Residuals of all positions to learnt codewords, each position softly assigned to the codewords (equation 1).

    Args:
        channels: of the features and the codewords.
        num_codes: number of codewords.
    """

    def __init__(self, channels: int, num_codes: int) -> None:
        super().__init__()
        self.channels, self.num_codes = channels, num_codes
        bound = (num_codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codes, channels).uniform_(-bound, bound))
        # factors of the squared distances: negative, so that near codewords get the large weights
        self.scale = nn.Parameter(torch.empty(num_codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, num_codes, channels) of features (N, channels, H, W)."""
        x = x.flatten(2).transpose(1, 2)
        squares = x.square().sum(2, keepdim=True) + self.codewords.square().sum(1)
        distances = squares - 2 * x @ self.codewords.T
        assigned = (self.scale * distances).softmax(dim=2)
        # the weighted sum of x - codeword, without a tensor of all differences
        return assigned.transpose(1, 2) @ x - assigned.sum(1).unsqueeze(2) * self.codewords

    def extra_repr(self) -> str:
        return f'channels={self.channels}, num_codes={self.num_codes}'
