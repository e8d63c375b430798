"""Metrics by hand, and the gates."""

from dataclasses import replace

import numpy as np
import pytest

from augment.config import AugmentConfig
from augment.dataset.gates import reasons_against
from augment.dataset.quality import Metrics, mean_change, measure, psnr, ssim


@pytest.fixture(scope='module')
def pair():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (40, 52, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    return a, b


def test_psnr_by_hand(pair):
    # A constant error of 1: 10 log10(255^2 / 1) = 48.13 dB.
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(grey, grey + 1) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(grey, grey) == 100.0


def test_ssim_of_equal_and_inverted_images(pair):
    assert ssim(pair[0], pair[0]) == pytest.approx(1)
    assert ssim(pair[0], 255 - pair[0]) < -0.8
    with pytest.raises(ValueError, match='at least 11x11'):
        ssim(pair[0][:8], pair[1][:8])


def test_ssim_by_hand(pair):
    # Wang et al. 2004, equation 13, window by window: Gaussian of 11 x 11 with sigma 1.5 and population covariance.
    line = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        for y in range(30):
            for x in range(42):
                a, b = (image[y : y + 11, x : x + 11, channel].astype(float) for image in pair)
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variances = (window * a * a).sum() - mean_a**2 + (window * b * b).sum() - mean_b**2
                covariance = (window * a * b).sum() - mean_a * mean_b
                luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
                values.append(luminance * (2 * covariance + c2) / (variances + c2))
    assert ssim(*pair) == pytest.approx(np.mean(values), abs=1e-9)


def test_change_is_counted_inside_and_outside():
    before = np.zeros((20, 20, 3), np.uint8)
    after = before.copy()
    mask = np.zeros((20, 20), bool)
    mask[:10] = True
    after[:5] = 40  # half of the inside
    after[15:] = 6  # half of the outside
    assert mean_change(after, before, mask) == 20
    assert mean_change(after, before, np.zeros_like(mask)) == 0
    metrics = measure(before, before, before, after, mask)
    assert (metrics.change_inside, metrics.change_outside) == (20, 3)
    assert metrics.reconstruction_psnr == 100


GOOD = Metrics(
    vae_psnr=35.0,
    reconstruction_psnr=30.0,
    reconstruction_ssim=0.9,
    change_inside=5.0,
    change_outside=9.0,
)


def test_worst_metrics_over_regions():
    other = replace(GOOD, vae_psnr=20.0, change_inside=7.0, change_outside=12.0, lpips=0.2)
    assert Metrics.worst([GOOD, other]) == replace(GOOD, vae_psnr=20.0, change_outside=12.0, lpips=0.2)


@pytest.mark.parametrize(
    ('changed', 'blend', 'reasons'),
    [
        ({}, 'label', []),
        ({}, 'none', ['changed outside the mask: 9.00 levels > max_outside 8']),
        ({'change_outside': 7.9}, 'attention', []),
        ({'reconstruction_psnr': 24.9}, 'label', ['reconstruction PSNR 24.90 dB < min_psnr 25']),
        ({'reconstruction_ssim': 0.6}, 'label', ['reconstruction SSIM 0.600 < min_ssim 0.7']),
        (
            {'change_inside': 0.5},
            'label',
            ['the edit changed nothing: 0.50 levels inside the mask < min_change 1'],
        ),
    ],
)
def test_gates_name_figure_and_threshold(changed, blend, reasons):
    assert reasons_against(replace(GOOD, **changed), AugmentConfig(blend=blend)) == reasons


def test_an_edit_without_any_change_never_passes():
    assert reasons_against(replace(GOOD, change_inside=0.0), AugmentConfig(min_change=0.0))
