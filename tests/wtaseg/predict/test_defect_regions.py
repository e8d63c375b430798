"""The regions of a prediction."""

import numpy as np
import pytest

from wtaseg.labels.shapes import decode_rle
from wtaseg.predict.regions import find_defects
from wtaseg.predict.writing import run_lengths


def test_regions_touch_at_corners_and_carry_their_numbers():
    labels = np.zeros((8, 10), np.uint8)
    labels[1, 1] = labels[2, 2] = labels[3, 3] = 1  # one region, by its corners
    labels[6, 8] = 1
    labels[1:3, 6:9] = 2
    probabilities = np.full((3, 8, 10), 0.25, np.float32)
    probabilities[1, 1, 1], probabilities[1, 2, 2], probabilities[1, 3, 3] = 0.5, 0.75, 1.0
    regions = find_defects(labels, probabilities, ('ok', 'scratch', 'dent'))
    defects = [defect for defect, _ in regions]
    assert [(defect.name, defect.box, defect.area) for defect in defects] == [
        ('scratch', (1, 1, 3, 3), 3),
        ('scratch', (8, 6, 1, 1), 1),
        ('dent', (6, 1, 3, 2), 6),
    ]
    assert defects[0].centroid == (2.0, 2.0) and defects[2].centroid == (7.0, 1.5)
    assert defects[0].mean_probability == pytest.approx(0.75) and defects[0].max_probability == 1.0
    assert defects[2].mean_probability == pytest.approx(0.25)
    assert regions[0][1].tolist() == np.eye(3, dtype=bool).tolist()


def test_run_lengths_are_those_of_coco():
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width = rng.integers(1, 9, 2)
        x, y = rng.integers(0, 10 - width), rng.integers(0, 12 - height)
        mask = rng.random((height, width)) < 0.6
        expected = np.zeros((12, 10), bool)
        expected[y : y + height, x : x + width] = mask
        assert (decode_rle(run_lengths(mask, (x, y), (12, 10)), 12, 10) == expected).all()
    corner = np.ones((12, 10), bool)
    assert run_lengths(corner, (0, 0), (12, 10)) == [0, 120]
