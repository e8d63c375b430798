"""What an edit is judged by.

The reconstruction is compared with the VAE round trip of the same picture, which is the best that inversion can
reach; the edit is compared with the reconstruction, so that what the VAE loses counts for neither. Pictures are
``(H, W, 3)`` uint8.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augment.config import AugmentConfig

PSNR_CEILING = 100.0
"""dB given to equal pictures, whose PSNR is infinite."""


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB for a range of 255, at most PSNR_CEILING."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return PSNR_CEILING if error == 0 else min(PSNR_CEILING, float(10 * np.log10(255**2 / error)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity in [-1, 1], mean over channels (Wang et al. 2004: Gaussian 11x11, sigma 1.5).

    Raises ``ValueError`` for pictures smaller than the window.
    """
    if min(a.shape[:2]) < 11:
        raise ValueError(f'SSIM needs pictures of at least 11x11 pixels, found {a.shape[1]}x{a.shape[0]}')
    x, y = (torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[:, None].double() for p in (a, b))
    mean_x, mean_y = local_mean(x), local_mean(y)
    var_x = local_mean(x * x) - mean_x**2
    var_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def local_mean(x: Tensor) -> Tensor:
    """Gaussian-weighted mean of ``(N, 1, H, W)`` around each pixel whose window lies in the picture."""
    line = torch.exp(-((torch.arange(11, dtype=x.dtype) - 5) ** 2) / (2 * 1.5**2))
    line = line / line.sum()
    rows = torch.nn.functional.conv2d(x, line.view(1, 1, -1, 1))
    return torch.nn.functional.conv2d(rows, line.view(1, 1, 1, -1))


def mean_change(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference in levels of 255 over ``where`` ``(H, W)``; 0 over nothing."""
    if not where.any():
        return 0.0
    return float(np.abs(a[where].astype(np.int16) - b[where].astype(np.int16)).mean())


def measure(
    source: np.ndarray,
    round_trip: np.ndarray,
    reconstruction: np.ndarray,
    edited: np.ndarray,
    mask: np.ndarray,
) -> dict[str, float]:
    """Metrics of one edited region at its working size; ``mask`` ``(H, W)`` is where the edit belongs."""
    metrics = {
        'vae_psnr': psnr(source, round_trip),
        'reconstruction_psnr': psnr(round_trip, reconstruction),
        'reconstruction_ssim': ssim(round_trip, reconstruction),
        'change_inside': mean_change(edited, reconstruction, mask),
        'change_outside': mean_change(edited, reconstruction, ~mask),
    }
    distance = lpips_distance(source, edited)
    if distance is not None:
        metrics['lpips'] = distance
    return {name: round(value, 4) for name, value in metrics.items()}


def reasons_against(metrics: dict[str, float], config: AugmentConfig) -> list[str]:
    """Why a region is refused, each with the figure and its threshold; empty when it is accepted."""
    reasons = []
    if metrics['reconstruction_psnr'] < config.min_psnr:
        reasons.append(
            f'reconstruction PSNR {metrics["reconstruction_psnr"]:.2f} dB < min_psnr {config.min_psnr:g}'
        )
    if metrics['reconstruction_ssim'] < config.min_ssim:
        reasons.append(
            f'reconstruction SSIM {metrics["reconstruction_ssim"]:.3f} < min_ssim {config.min_ssim:g}'
        )
    if metrics['change_inside'] < config.min_change or metrics['change_inside'] == 0:
        reasons.append(
            f'the edit changed nothing: {metrics["change_inside"]:.2f} levels inside the mask < min_change '
            f'{config.min_change:g}'
        )
    # Under blend=label the pixels outside are composited back, so what the edit did there is never seen.
    if config.blend != 'label' and metrics['change_outside'] > config.max_outside:
        reasons.append(
            f'changed outside the mask: {metrics["change_outside"]:.2f} levels > max_outside {config.max_outside:g}'
        )
    return reasons


@lru_cache(maxsize=1)
def lpips_network() -> Any | None:
    """LPIPS (Zhang et al. 2018) on AlexNet where the package and its weights lie on this machine, else None.

    The package would fetch missing weights from the network, so their file is looked for first.
    """
    weights = Path(torch.hub.get_dir()) / 'checkpoints'
    if importlib.util.find_spec('lpips') is None or not list(weights.glob('alexnet-*.pth')):
        return None
    import lpips

    return lpips.LPIPS(net='alex', verbose=False).eval().requires_grad_(False)


def lpips_distance(a: np.ndarray, b: np.ndarray) -> float | None:
    """LPIPS between two pictures, or None where it is not installed."""
    network = lpips_network()
    if network is None:
        return None
    x, y = (
        torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (a, b)
    )
    with torch.no_grad():
        return float(network(x, y))
