"""Probabilities as levels: the number of thresholds of a fixed grid that a probability reaches.

The thresholds are evenly spaced in log-odds, since trained models put most probabilities close to 0 or 1.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

#: Number of thresholds; a level is 0 to LEVELS and fits into 8 bits.
LEVELS = 255
# log-odds of the lowest and the highest threshold: probabilities of 0.0025 and 0.99995
_LOWEST, _HIGHEST = -6.0, 10.0


@cache
def _grid(device: torch.device | str = 'cpu') -> Tensor:
    """The thresholds on a device, copied there once."""
    return torch.linspace(_LOWEST, _HIGHEST, LEVELS, dtype=torch.float64).sigmoid().float().to(device)


def thresholds() -> np.ndarray:
    """The thresholds (LEVELS,), ascending, as the float32 values that probabilities are compared with."""
    return _grid().numpy().copy()


def probabilities(logits: Tensor) -> Tensor:
    """Probabilities (C, H, W), float32, of a sample's ``seg_logits``.

    Args:
        logits: (C, H, W); of a one-channel head its probability (1, H, W), which gives C = 2.
    """
    logits = logits.detach().float()
    if logits.shape[0] == 1:
        return torch.cat([1 - logits, logits])
    return logits.softmax(dim=0)


def to_levels(probability: Tensor) -> Tensor:
    """The level of each probability, uint8: ``level >= k`` where ``probability >= thresholds()[k - 1]``.

    NaN has level 0.
    """
    grid = _grid(probability.device)
    return torch.bucketize(probability.nan_to_num(0.0), grid, right=True, out_int32=True).to(torch.uint8)
