"""Metrics against scikit-image or by hand, and the gates."""

import numpy as np
import pytest

from augment.config import AugmentConfig
from augment.dataset.quality import mean_change, measure, psnr, reasons_against, ssim


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


def test_ssim_of_equal_and_inverted_pictures(pair):
    assert ssim(pair[0], pair[0]) == pytest.approx(1)
    assert ssim(pair[0], 255 - pair[0]) < -0.8
    with pytest.raises(ValueError, match='at least 11x11'):
        ssim(pair[0][:8], pair[1][:8])


def test_agrees_with_scikit_image(pair):
    metrics = pytest.importorskip('skimage.metrics')
    theirs = metrics.structural_similarity(
        *pair, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(*pair) == pytest.approx(theirs, abs=1e-6)
    assert psnr(*pair) == pytest.approx(metrics.peak_signal_noise_ratio(*pair), abs=1e-9)


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
    assert (metrics['change_inside'], metrics['change_outside']) == (20, 3)
    assert metrics['reconstruction_psnr'] == 100


def good():
    return {
        'reconstruction_psnr': 30.0,
        'reconstruction_ssim': 0.9,
        'change_inside': 5.0,
        'change_outside': 9.0,
    }


@pytest.mark.parametrize(
    ('changed', 'blend', 'said'),
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
def test_gates_name_figure_and_threshold(changed, blend, said):
    assert reasons_against(good() | changed, AugmentConfig(blend=blend)) == said


def test_an_edit_without_any_change_never_passes():
    assert reasons_against(good() | {'change_inside': 0.0}, AugmentConfig(min_change=0.0))
