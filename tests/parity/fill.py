"""Deterministic weights and inputs for the parity goldens.

Every tensor is drawn from ``numpy.random.RandomState`` (a frozen stream) seeded
by the CRC-32 of its ``state_dict`` key, so two implementations that agree on
their keys and shapes hold the same weights without exchanging a checkpoint.
"""

import zlib

import numpy as np
import torch


def tensor_for(key: str, like: torch.Tensor) -> torch.Tensor:
    """The reference value of the ``state_dict`` entry ``key``, shaped like ``like``."""
    if not like.is_floating_point():  # counters and index tables stay as built
        return like.clone()
    draw = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(tuple(like.shape))
    leaf = key.rsplit('.', 1)[-1]
    if leaf == 'running_var':
        value = 1.0 + 0.1 * np.abs(draw)
    elif like.ndim >= 2 and leaf == 'weight':
        fan_in = int(np.prod(like.shape[1:]))
        value = draw * np.sqrt(2.0 / fan_in)
    elif like.ndim == 1 and leaf == 'weight':
        value = 1.0 + 0.1 * draw
    elif like.ndim == 0:
        value = np.asarray(0.5)
    else:
        value = 0.1 * draw
    return torch.as_tensor(np.asarray(value), dtype=like.dtype)


def fill(model: torch.nn.Module) -> torch.nn.Module:
    """Overwrite every parameter and buffer of ``model`` in place with its reference value."""
    model.load_state_dict({k: tensor_for(k, v) for k, v in model.state_dict().items()})
    return model


def image(n: int, h: int, w: int, seed: int = 0) -> torch.Tensor:
    """A normalised image batch, float32 of shape (n, 3, h, w)."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((n, 3, h, w))).float()


def label(n: int, h: int, w: int, classes: int = 3, seed: int = 1) -> torch.Tensor:
    """A label batch, int64 of shape (n, h, w): ids 0..classes-1, about 2 % ignored (255)."""
    rng = np.random.RandomState(seed)
    y = rng.randint(0, classes, size=(n, h, w))
    y[rng.random_sample((n, h, w)) < 0.02] = 255
    return torch.from_numpy(y).long()
