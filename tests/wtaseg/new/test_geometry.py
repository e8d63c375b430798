"""Crops, scale and windows follow from images and defects; defects are measured right."""

import cv2
import numpy as np
import pytest

from wtaseg.new.content import measure_defects
from wtaseg.new.geometry import choose_geometry


def test_regions_are_measured_in_pixels():
    labels = np.zeros((200, 300), np.uint8)
    labels[10:13, 20:120] = 1  # 100 x 3
    labels[50:70, 50:70] = 2  # touches the next class, which is a region of its own
    labels[70:74, 50:54] = 3
    labels[190:, 290:] = 1  # at the border
    labels[100, 100] = 4
    labels[120:150, 100:130] = 255
    sizes = {tuple(row) for row in np.round(measure_defects(labels)).tolist()}
    assert {side for side, _ in sizes} == {100, 20, 4, 10, 1}
    thickness = dict(sizes)
    for side, expected in ((100, 3), (20, 20), (4, 4), (10, 10), (1, 1)):
        assert abs(thickness[side] - expected) <= 1.5, (side, thickness[side])
    assert measure_defects(np.zeros((5, 5), np.uint8)).shape == (0, 2)


def test_a_ring_is_as_thick_as_its_line():
    labels = np.zeros((200, 200), np.uint8)
    cv2.circle(labels, (100, 100), 60, 1, 5)
    [(side, thickness)] = measure_defects(labels)
    assert 120 <= side <= 130 and 3 <= thickness <= 7


def defects(length, thickness, count=50):
    return np.tile(np.float32([length, thickness]), (count, 1))


@pytest.mark.parametrize(
    ('size', 'length', 'thickness', 'scale', 'crop', 'slide'),
    [
        ((1600, 1200), 80, 2, 1, (512, 512), True),  # thin scratches: never shrunk
        ((1600, 1200), 600, 3, 1, (512, 512), True),  # long but thin
        ((1600, 1200), 600, 60, 0.5, (512, 512), True),
        ((4000, 3000), 1500, 200, 0.25, (512, 512), True),
        ((640, 480), 20, 5, 1, (480, 512), False),
        ((400, 300), 20, 5, 1, (320, 416), False),
        ((2000, 100), 20, 5, 1, (128, 512), True),
        ((40, 30), 4, 2, 1, (64, 64), False),
    ],
)
def test_crops_and_windows(size, length, thickness, scale, crop, slide):
    geometry = choose_geometry([size] * 5, defects(length, thickness))
    assert (geometry.scale, geometry.crop, geometry.slide) == (scale, crop, slide)
    assert geometry.same_size and all(step <= side for step, side in zip(geometry.stride, geometry.crop))
    text = ' '.join(geometry.explain())
    assert f'{size[0]} x {size[1]}' in text and ('windows' in text) == slide
    assert (geometry.ratios[0] < 1) == (thickness * scale >= 8)


def test_images_of_many_sizes_and_without_defects():
    geometry = choose_geometry([(800, 600), (1600, 1200), (400, 300)], np.zeros((0, 2), np.float32))
    assert not geometry.same_size and geometry.scale == 1 and geometry.thickness is None
