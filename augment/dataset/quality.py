"""Metrics of an edited region as a whole; those of its single defects stand in components.py.

The reconstruction is compared with the VAE round trip of the same image, which is the best that inversion can reach;
the edit is compared with the reconstruction, so that the loss of the VAE counts for neither. Images are ``(H, W, 3)``
uint8.
"""

import importlib.util
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

PSNR_CEILING = 100.0
"""dB given to equal images, whose PSNR is infinite."""

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5  # of the Gaussian window, 11 x 11 as in Wang et al. 2004
DECIMALS = 4  # of all metrics in the manifest

OPTIONAL = {'optional': True}
"""Metadata of a field that is left out of the manifest while it is None."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Figures of one edited region, or the worst ones over all regions of an image.

    Attributes:
        vae_psnr: VAE round trip against source, in dB.
        reconstruction_psnr: Reconstruction against round trip, in dB.
        reconstruction_ssim: The same as SSIM, in [-1, 1].
        change_inside: Edit against reconstruction inside the mask, mean absolute difference in levels of 255.
        change_outside: The same outside the mask.
        lpips: LPIPS of edit and source, where it is installed.
        defect_vae_psnr, defect_psnr, defect_vae_kept, defect_reconstruction_kept, defect_edit_kept: The worst
            component of the region, see ``ComponentRecord``; None where there is none or none can be told from the
            surface.
    """

    vae_psnr: float
    reconstruction_psnr: float
    reconstruction_ssim: float
    change_inside: float
    change_outside: float
    lpips: float | None = field(default=None, metadata=OPTIONAL)
    defect_vae_psnr: float | None = field(default=None, metadata=OPTIONAL)
    defect_psnr: float | None = field(default=None, metadata=OPTIONAL)
    defect_vae_kept: float | None = field(default=None, metadata=OPTIONAL)
    defect_reconstruction_kept: float | None = field(default=None, metadata=OPTIONAL)
    defect_edit_kept: float | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def worst(cls, items: list['Metrics']) -> 'Metrics':
        """Each figure at its worst over ``items``."""
        highest_is_worst = ('change_outside', 'lpips')
        values: dict[str, float] = {}
        for f in fields(cls):
            column = [value for item in items if (value := getattr(item, f.name)) is not None]
            if column:
                values[f.name] = (max if f.name in highest_is_worst else min)(column)
        return cls(**values)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays in dB, at most PSNR_CEILING."""
    if np.array_equal(a, b):
        return PSNR_CEILING
    return min(PSNR_CEILING, float(peak_signal_noise_ratio(a, b, data_range=255)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity in [-1, 1], mean over channels (Wang et al. 2004: Gaussian 11x11, sigma 1.5).

    Raises ``ValueError`` for images smaller than the window.
    """
    if min(a.shape[:2]) < SSIM_WINDOW:
        size = f'{a.shape[1]}x{a.shape[0]}'
        raise ValueError(f'SSIM needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, found {size}')
    return float(
        structural_similarity(
            a,
            b,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
        )
    )


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
) -> Metrics:
    """Metrics of one edited region at its working size; ``mask`` ``(H, W)`` is where the edit belongs."""
    distance = lpips_distance(source, edited)
    return Metrics(
        vae_psnr=round(psnr(source, round_trip), DECIMALS),
        reconstruction_psnr=round(psnr(round_trip, reconstruction), DECIMALS),
        reconstruction_ssim=round(ssim(round_trip, reconstruction), DECIMALS),
        change_inside=round(mean_change(edited, reconstruction, mask), DECIMALS),
        change_outside=round(mean_change(edited, reconstruction, ~mask), DECIMALS),
        lpips=None if distance is None else round(distance, DECIMALS),
    )


@lru_cache(maxsize=1)
def lpips_network() -> Any | None:
    """LPIPS (Zhang et al. 2018) on AlexNet where the package and its weights are on this machine, else None.

    The package would download missing weights, so their file is looked for first.
    """
    weights = Path(torch.hub.get_dir()) / 'checkpoints'
    if importlib.util.find_spec('lpips') is None or not list(weights.glob('alexnet-*.pth')):
        return None
    import lpips

    return lpips.LPIPS(net='alex', verbose=False).eval().requires_grad_(False)


def lpips_distance(a: np.ndarray, b: np.ndarray) -> float | None:
    """LPIPS between two images, or None where it is not installed."""
    network = lpips_network()
    if network is None:
        return None
    x, y = (
        torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1)[None].float() / 127.5 - 1 for p in (a, b)
    )
    with torch.no_grad():
        return float(network(x, y))
