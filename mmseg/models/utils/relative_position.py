"""Relative positions of patches as in BEiT (Bao et al., ICLR 2022; tables from Raffel et al., 2020)."""

import numpy as np
import torch
from torch import Tensor

# Table rows after those of patch pairs: class token to patch, patch to class token, class token to itself.
CLASS_TOKEN_ROWS = 3


def relative_position_index(window_size: tuple[int, int]) -> Tensor:
    """Row of the bias table for each pair of tokens, int64 (1 + h * w, 1 + h * w), class token first."""
    height, width = window_size
    rows = (2 * height - 1) * (2 * width - 1) + CLASS_TOKEN_ROWS
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    y, x = y.flatten(), x.flatten()
    delta_y = y[:, None] - y[None, :] + height - 1
    delta_x = x[:, None] - x[None, :] + width - 1
    index = torch.empty((1 + height * width,) * 2, dtype=torch.int64)
    index[1:, 1:] = delta_y * (2 * width - 1) + delta_x
    index[0, :] = rows - 3
    index[:, 0] = rows - 2
    index[0, 0] = rows - 1
    return index


def _geometric_positions(source: int, target: int) -> np.ndarray:
    """Positions of a table's ``source`` distances on the axis of a table with ``target`` distances.

    They grow geometrically from the centre outwards, so that close neighbours keep their biases and only
    distant ones are stretched. The ratio is the one whose ``source // 2`` steps reach ``target // 2``.
    """
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        reach = (1 - ratio ** (source // 2)) / (1 - ratio)
        low, high = (low, ratio) if reach > target // 2 else (ratio, high)
    steps = np.cumsum(ratio ** np.arange(source // 2))
    return np.concatenate([-steps[::-1], [0.0], steps])


def resize_relative_position_table(table: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Interpolate a bias table of a square window to another window.

    Args:
        table: (rows, heads), the rows of a square window and the three of the class token.
        window_size: (height, width) of the new window.

    Returns:
        Table of the new window's rows, cubic splines between geometrically spaced distances.

    Raises:
        ValueError: no square window has a table of this length.
    """
    from scipy.interpolate import RectBivariateSpline

    pairs, extra = table[:-CLASS_TOKEN_ROWS], table[-CLASS_TOKEN_ROWS:]
    source = int(len(pairs) ** 0.5)
    if source * source != len(pairs):
        raise ValueError(f'a relative position table of {len(table)} rows belongs to no square window')
    target = tuple(2 * side - 1 for side in window_size)
    if target == (source, source):
        return table
    known = [_geometric_positions(source, side) for side in target]
    wanted = [np.arange(side) - side // 2 for side in target]
    grids = pairs.double().cpu().numpy().reshape(source, source, -1)
    resized = [
        RectBivariateSpline(*known, grids[:, :, head])(*wanted).reshape(-1) for head in range(grids.shape[2])
    ]
    return torch.cat([torch.from_numpy(np.stack(resized, axis=1)).to(table), extra])
