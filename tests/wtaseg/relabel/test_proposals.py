"""Proposed labels follow what an edit changed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from wtaseg.relabel.options import ProposalOptions
from wtaseg.relabel.proposals import Views, color_difference, propose

SIDE = 64


def surface(noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """A grey surface from dark to bright with some noise, ``(64, 64, 3)`` uint8."""
    ramp = np.linspace(70, 120, SIDE)[None, :, None] * np.ones((SIDE, 1, 3))
    return np.clip(np.rint(ramp + np.random.default_rng(seed).normal(0, noise, ramp.shape)), 0, 255).astype(
        np.uint8
    )


def square(low: int, high: int) -> np.ndarray:
    """Mask ``(64, 64)`` of the square from ``low`` to ``high`` in both directions."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[low:high, low:high] = True
    return mask


def painted(image: np.ndarray, mask: np.ndarray, color=(190, 120, 60)) -> np.ndarray:
    """``image`` with ``mask`` in one colour."""
    result = image.copy()
    result[mask] = color
    return result


def ids(mask: np.ndarray, class_id: int = 1) -> np.ndarray:
    """A label of one class."""
    return mask.astype(np.uint8) * class_id


SOURCE = painted(surface(), square(28, 34))
LABEL = ids(square(28, 34))


def test_an_edit_without_change_keeps_the_label():
    np.testing.assert_array_equal(propose(Views(SOURCE, SOURCE), LABEL), LABEL)
    empty = np.zeros_like(LABEL)
    np.testing.assert_array_equal(propose(Views(SOURCE, surface(seed=1)), empty), empty)


def test_a_label_with_gaps_stays_where_nothing_changed():
    specks = np.zeros((SIDE, SIDE), bool)
    specks[28:36:2, 28:36:2] = True
    source = painted(surface(), specks)
    np.testing.assert_array_equal(propose(Views(source, source), ids(specks)), ids(specks))


def test_a_grown_defect_gets_a_grown_label_of_its_class():
    edited = painted(surface(), square(26, 38), (60, 60, 200))
    np.testing.assert_array_equal(
        propose(Views(SOURCE, edited), ids(square(28, 34), 2)), ids(square(26, 38), 2)
    )


def test_the_part_that_vanished_is_normal():
    edited = painted(surface(), square(28, 34) & (np.arange(SIDE) < 31), (60, 60, 200))
    proposed = propose(Views(SOURCE, edited), LABEL)
    np.testing.assert_array_equal(proposed, LABEL * (np.arange(SIDE) < 31))


def test_a_change_apart_from_the_defect_is_no_defect():
    spot = np.zeros((SIDE, SIDE), bool)
    spot[30:33, 39:42] = True  # within reach, five pixels from the defect
    edited = painted(SOURCE, spot)
    np.testing.assert_array_equal(propose(Views(SOURCE, edited), LABEL), LABEL)
    taken = propose(Views(SOURCE, edited), LABEL, ProposalOptions(join=6))
    np.testing.assert_array_equal(taken > 0, (LABEL > 0) | spot)


def test_nothing_grows_beyond_the_reach():
    edited = painted(SOURCE, square(10, 54))
    proposed = propose(Views(SOURCE, edited), LABEL, ProposalOptions(reach=3))
    distance = cv2.distanceTransform((LABEL == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.testing.assert_array_equal(proposed > 0, distance <= 3)


def test_ignored_pixels_stay_ignored():
    label = LABEL.copy()
    label[20:44, 35:40] = 255
    proposed = propose(Views(SOURCE, painted(surface(), square(26, 38))), label)
    np.testing.assert_array_equal(proposed == 255, label == 255)


def test_each_pixel_takes_the_class_of_the_nearest_defect():
    label = ids(square(20, 26)) + ids(square(32, 38), 2)
    source = painted(surface(), label > 0)
    proposed = propose(Views(source, painted(surface(), square(18, 40))), label)
    assert proposed[19, 19] == 1 and proposed[39, 39] == 2
    assert {*np.unique(proposed)} == {0, 1, 2}


@pytest.mark.parametrize('stored', [True, False], ids=['stored reconstruction', 'without'])
def test_noise_of_the_reconstruction_is_no_defect(stored):
    noisy = surface(noise=4, seed=3)
    near = square(18, 44)
    edited = np.where((near & ~square(28, 34))[..., None], noisy, SOURCE)
    reconstruction = np.where(near[..., None], surface(noise=4, seed=4), SOURCE) if stored else None
    proposed = propose(Views(SOURCE, edited, reconstruction), LABEL)
    np.testing.assert_array_equal(proposed, LABEL)
    without = propose(Views(SOURCE, edited), LABEL, ProposalOptions(noise_factor=0, smoothing=0))
    assert np.count_nonzero(without != LABEL) > 10


def test_the_loss_of_the_vae_is_no_change():
    # a reconstruction that is darker everywhere: the edit is compared with it, too
    darker = np.clip(SOURCE.astype(int) - 25, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(propose(Views(SOURCE, darker, darker), LABEL), LABEL)


def test_a_segmenter_decides_near_the_threshold():
    # 8 levels above the surface: a colour difference of about 3
    faint = np.clip(SOURCE.astype(int) + 8 * square(26, 38)[..., None], 0, 255).astype(np.uint8)
    views, options = Views(SOURCE, faint), ProposalOptions(threshold=6, trust=2)
    area = {}
    for probability in (0.0, 0.5, 1.0):
        defect = np.full(LABEL.shape, probability)
        area[probability] = np.count_nonzero(propose(replace(views, defect=defect), LABEL, options))
    assert area[0.0] == area[0.5] == np.count_nonzero(LABEL)
    assert area[1.0] > 2 * area[0.5]
    np.testing.assert_array_equal(propose(views, LABEL, options), LABEL)


def test_the_formulas_agree_on_what_is_equal_and_what_differs_most():
    for formula in ('cie76', 'ciede2000'):
        assert color_difference(SOURCE, SOURCE, formula, 0).max() == 0
        assert color_difference(SOURCE, surface(), formula, 0)[30, 30] > 20


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(threshold=0), '--threshold: 0 found, expected at least 0.1'),
        (dict(reach=0), '--reach: 0 found, expected at least 1'),
        (dict(unchanged=1.5), '--unchanged: 1.5 found'),
        (dict(trust=0.5), '--trust: 0.5 found'),
        (dict(noise_factor=float('nan')), '--noise-factor: nan found'),
    ],
)
def test_options_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ProposalOptions(**values)


def test_arrays_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match='expected one size'):
        propose(Views(SOURCE, SOURCE[:32]), LABEL)
