"""What the autoencoder and the UNet of the demo model are trained to minimise."""

import torch.nn.functional as F
from torch import Tensor

PIXEL_WEIGHT = 10.0  # of defect pixels in the autoencoder's loss; defects are 3 % of a crop
CELL_WEIGHT = 4.0  # of defect cells in the UNet's
GRADIENT_WEIGHT = 0.5
SSIM_WEIGHT = 0.05
KL_WEIGHT = 1e-5
MIN_SNR_GAMMA = 5.0  # Hang et al. 2023
SSIM_WINDOW = 7


def pixel_weights(defects: Tensor, cell: int) -> Tensor:
    """``(N, 1, H, W)``: PIXEL_WEIGHT within ``cell`` pixels of ``defects (N, 1, H, W)``, 1 elsewhere."""
    return 1 + (PIXEL_WEIGHT - 1) * grown(defects, cell)


def cell_weights(defects: Tensor, cell: int) -> Tensor:
    """``(N, 1, H / cell, W / cell)``: CELL_WEIGHT of latent cells with or beside a defect, 1 elsewhere."""
    return 1 + (CELL_WEIGHT - 1) * F.max_pool2d(grown(defects, cell), cell)


def grown(defects: Tensor, pixels: int) -> Tensor:
    """``defects (N, 1, H, W)`` and what is within so many pixels, as 0 and 1."""
    return F.max_pool2d(defects.float(), 2 * pixels + 1, stride=1, padding=pixels)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of ``values (N, C, H, W)`` under ``weights (N, 1, H, W)``."""
    return (values * weights).sum() / (weights.sum() * values.shape[1])


def autoencoder_loss(
    images: Tensor, decoded: Tensor, mean: Tensor, log_variance: Tensor, weights: Tensor
) -> Tensor:
    """Absolute error, absolute error of the gradients, SSIM, and a weak pull of the latents to unit Gaussians.

    Args:
        images: ``(N, 3, H, W)`` in [-1, 1].
        decoded: The same after the round trip.
        mean: ``(N, 4, h, w)`` of the latents.
        log_variance: ``(N, 4, h, w)`` of the latents.
        weights: ``(N, 1, H, W)`` of the pixels.
    """
    images, decoded, mean, log_variance = (x.float() for x in (images, decoded, mean, log_variance))
    error = decoded - images
    loss = weighted_mean(error.abs(), weights)
    for dim in (-1, -2):
        slope, length = error.diff(dim=dim), error.shape[dim] - 1
        loss = loss + GRADIENT_WEIGHT / 2 * weighted_mean(slope.abs(), weights.narrow(dim, 0, length))
    loss = loss + SSIM_WEIGHT * (1 - similarity(images, decoded))
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return loss + KL_WEIGHT * kl


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity of images in [-1, 1] over uniform windows (Wang et al. 2004, eq. 13)."""

    def local(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, SSIM_WINDOW, stride=1)

    mean_a, mean_b = local(a), local(b)
    variances = local(a * a) - mean_a.square() + local(b * b) - mean_b.square()
    covariance = local(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return (luminance * (2 * covariance + c2) / (variances + c2)).mean()


def min_snr_weights(alphas_cumprod: Tensor) -> Tensor:
    """Factor of each timestep's noise error: ``min(SNR, gamma) / SNR`` (Hang et al. 2023, section 3.4)."""
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=MIN_SNR_GAMMA) / snr


def noise_loss(prediction: Tensor, noise: Tensor, step_weights: Tensor, cells: Tensor) -> Tensor:
    """Weighted squared error of the predicted noise ``(N, 4, h, w)``.

    Args:
        step_weights: ``(N,)``, of each sample's timestep.
        cells: ``(N, 1, h, w)``, of each latent cell.
    """
    error = (prediction.float() - noise).square() * step_weights.view(-1, 1, 1, 1)
    return weighted_mean(error, cells)
