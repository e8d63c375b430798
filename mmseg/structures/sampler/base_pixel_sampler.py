"""Base class of pixel samplers."""

from abc import ABCMeta, abstractmethod

import torch


class BasePixelSampler(metaclass=ABCMeta):
    """Chooses pixels by giving each one a weight in the loss."""

    def __init__(self, **kwargs) -> None:
        super().__init__()

    @abstractmethod
    def sample(self, seg_logit: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Weights of shape (N, H, W) for logits (N, C, H, W) and labels (N, 1, H, W)."""
