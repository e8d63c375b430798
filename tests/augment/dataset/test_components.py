"""Figures of single defects: rings, contrast, and what vanished."""

import numpy as np
import pytest

from augment.dataset.components import (
    RING_PIXELS,
    VISIBLE,
    Residual,
    Stages,
    contrast,
    find_components,
    measure_components,
    pattern_kept,
    signal,
)


def surface(seed: int, shape=(60, 60), level=90, noise=3.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(level, noise, (*shape, 3))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def everything(label: np.ndarray) -> np.ndarray:
    return np.ones(label.shape, bool)


def stages(source: np.ndarray, **changed: np.ndarray) -> Stages:
    return Stages(**(dict.fromkeys(('source', 'round_trip', 'reconstruction', 'edited'), source) | changed))


class TestComponents:
    def test_diagonal_neighbours_of_one_class_are_one_component_and_classes_are_apart(self):
        label = np.zeros((30, 30), np.uint8)
        label[3, 3] = label[4, 4] = 1
        label[4, 5] = 2
        label[20:23, 20:22] = 1
        label[10, 10] = 255  # ignored: no defect
        result = find_components(label, everything(label))
        assert [(c.class_id, c.area, c.box) for c in result] == [
            (1, 6, [20, 20, 22, 23]),
            (1, 2, [3, 3, 5, 5]),
            (2, 1, [5, 4, 6, 5]),
        ]

    def test_components_outside_the_mask_are_left_to_other_regions(self):
        label = np.zeros((30, 30), np.uint8)
        label[3, 3] = label[20, 20] = 1
        mask = everything(label)
        mask[15:] = False
        assert [c.box for c in find_components(label, mask)] == [[3, 3, 4, 4]]

    def test_the_ring_leaves_out_the_neighbouring_pixels_other_defects_and_ignored_pixels(self):
        label = np.zeros((40, 40), np.uint8)
        label[20, 20] = 1
        label[20, 24] = 2
        label[24, 20] = 255
        component = find_components(label, everything(label))[0]
        ring = np.zeros(label.shape, bool)
        ring[component.ring] = True
        rows, columns = np.mgrid[:40, :40]
        distance = np.hypot(rows - 20, columns - 20)
        assert np.array_equal(ring, (distance > 1) & (distance <= 5) & (label == 0))

    def test_a_ring_between_other_defects_grows_until_it_has_enough_pixels(self):
        label = np.full((40, 40), 2, np.uint8)
        label[20, 20] = 1
        label[:, :6] = 0  # the only surface is 14 pixels away
        component = find_components(label, everything(label))[0]
        rows, columns = component.ring
        assert RING_PIXELS <= len(rows) < 2 * RING_PIXELS and set(columns.tolist()) <= {4, 5}

    def test_without_any_surface_nothing_is_said_about_contrast(self):
        label = np.ones((20, 20), np.uint8)
        image = surface(0, label.shape)
        (record,) = measure_components(find_components(label, everything(label)), stages(image), (0, 0))
        assert record.signal == 0 and record.edit_kept is None and record.psnr == 100


class TestFigures:
    def test_contrast_by_hand(self):
        # Two pixels 10 and 20 levels above the ring in each channel, ring covariance 4 I: the mean is 15 a channel.
        part = Residual(np.array([[10.0] * 3, [20.0] * 3]), 4 * np.eye(3))
        mean, noise = 3 * 15.0**2, 12 / 2
        variance = 3 * 2 * 5.0**2
        excess = variance - 12 * (1 + 3 * 2**0.5)
        assert contrast([part]) == pytest.approx((mean - noise + excess) ** 0.5)
        # |s|^2 over the standard deviation of s.noise.
        assert signal([part]) == pytest.approx(1500 / (4 * 1500) ** 0.5)
        halved = Residual(part.pixels / 2, part.covariance)
        assert pattern_kept([halved], [part]) == pytest.approx(0.5)

    def test_each_figure_against_its_reference(self):
        source = surface(1)
        label = np.zeros(source.shape[:2], np.uint8)
        label[30:33, 30:33] = 1
        source[30:33, 30:33] = 200
        painted = surface(1)
        round_trip = source.copy()
        round_trip[30:33, 30:33] = 145  # half of the contrast of 110
        edited = source.copy()
        edited[30:33, 30:33] = (200, 200, 90)  # two of three channels keep it
        components = find_components(label, everything(label))
        images = stages(source, round_trip=round_trip, reconstruction=painted, edited=edited)
        (record,) = measure_components(components, images, (100, 7))
        assert (record.defect, record.count, record.area, record.box) == (
            'attached',
            1,
            9,
            [130, 37, 133, 40],
        )
        assert record.contrast == pytest.approx(110 * 3**0.5, rel=0.02)
        assert record.vae_kept == pytest.approx(0.5, abs=0.02)
        assert record.reconstruction_kept == pytest.approx(0, abs=0.03)
        assert record.edit_kept == pytest.approx((2 / 3) ** 0.5, abs=0.02)
        assert record.vae_psnr == pytest.approx(20 * np.log10(255 / 55), abs=1e-3)
        assert record.psnr == pytest.approx(20 * np.log10(255 / 110), abs=0.3)
        inside = np.abs(edited[30:33, 30:33].astype(float) - painted[30:33, 30:33]).mean()
        assert record.change == pytest.approx(inside, abs=1e-3)

    def test_another_colour_of_the_same_lightness_is_not_kept_by_a_reconstruction_but_by_an_edit(self):
        source = surface(2)
        label = np.zeros(source.shape[:2], np.uint8)
        label[20:24, 20:24] = 2
        other = source.copy()
        source[20:24, 20:24] = (150, 90, 90)
        other[20:24, 20:24] = (90, 90, 150)
        components = find_components(label, everything(label))
        (record,) = measure_components(components, stages(source, reconstruction=other, edited=other), (0, 0))
        assert record.reconstruction_kept < 0.1 and record.edit_kept == pytest.approx(1, abs=0.1)

    def test_a_defect_of_light_and_dark_parts_has_contrast(self):
        source = surface(3)
        label = np.zeros(source.shape[:2], np.uint8)
        label[20:26, 20:26] = 1
        source[20:26, 20:23], source[20:26, 23:26] = (
            130,
            50,
        )  # as dark on one side as it is light on the other
        components = find_components(label, everything(label))
        painted = stages(source, edited=surface(3))
        (record,) = measure_components(components, painted, (0, 0))
        assert record.contrast > 50 and record.edit_kept < 0.1

    def test_an_edited_defect_that_grows_over_its_ring_is_still_there(self):
        source = surface(5)
        label = np.zeros(source.shape[:2], np.uint8)
        label[20:24, 20:24] = 1
        source[20:24, 20:24] = 150
        grown = source.copy()
        grown[14:30, 14:30] = 150
        components = find_components(label, everything(label))
        (record,) = measure_components(components, stages(source, edited=grown), (0, 0))
        assert record.edit_kept == pytest.approx(1, abs=0.02)

    @pytest.mark.parametrize('area', [1, 2, 3, 5])
    def test_tiny_defects_on_a_noisy_surface(self, area):
        # 40 levels of contrast on noise of 3: every one can be told from the surface.
        vanished, intact = [], []
        for seed in range(40):
            clean, label = surface(seed), np.zeros((60, 60), np.uint8)
            label[30, 30 : 30 + area] = 1
            source = np.where(label[..., None] > 0, clean + 40, clean).astype(np.uint8)
            noisy = np.clip(
                source
                + surface(seed + 1000, level=0, noise=0)
                + np.random.default_rng(seed).normal(0, 4, source.shape),
                0,
                255,
            ).astype(np.uint8)
            images = stages(source, round_trip=noisy, reconstruction=clean, edited=clean)
            (record,) = measure_components(find_components(label, everything(label)), images, (0, 0))
            vanished.append(max(record.reconstruction_kept, record.edit_kept))
            intact.append(record.vae_kept)
        assert max(vanished) < 0.25 and min(intact) > 0.6

    def test_faint_defects_are_judged_together(self):
        clean, label = surface(4), np.zeros((60, 60), np.uint8)
        label[5:55:7, 5:55:7] = 1
        source = np.where(label[..., None] > 0, clean + 7, clean).astype(np.uint8)
        components = find_components(label, everything(label))
        records = measure_components(components, stages(source, edited=clean), (0, 0))
        singles, joint = records[:-1], records[-1]
        assert all(r.count == 1 for r in singles)
        assert joint.count == sum(r.signal < VISIBLE for r in singles) > 30
        assert joint.signal > VISIBLE and joint.reconstruction_kept == 1 and joint.edit_kept < 0.25
        assert all(r.edit_kept is None for r in singles if r.signal < VISIBLE)
