"""How an operating point is chosen, applied and stored."""

import json
import math

import numpy as np
import pytest
import torch

from mmseg.evaluation.inspection import ClassPoint, Interval, OperatingPoint, read_operating_point
from mmseg.evaluation.inspection.choosing import choose_index, choose_point, share_interval
from mmseg.evaluation.inspection.levels import LEVELS, thresholds


def point_of(*limits):
    nan = Interval(math.nan, math.nan)
    classes = {f'class {i}': ClassPoint(limit, 50.0, 0.1, nan, nan) for i, limit in enumerate(limits)}
    return OperatingPoint(classes, 0.1, 10, 1, 3, 0.25)


@pytest.mark.parametrize(
    ('found', 'alarms', 'allowed', 'expected'),
    [
        ([9, 8, 7, 5], [9, 4, 2, 0], 4, 1),
        ([9, 8, 7, 5], [9, 4, 2, 1], 0, 4),  # all give too many: never
        ([3, 8, 8, 8, 8, 5], [0, 2, 2, 2, 2, 0], 2, 2),  # the middle of equal ones
        ([8, 8, 8], [2, 1, 2], 2, 1),  # fewer false alarms at equal numbers found
        ([0, 0, 0, 0], [1, 5, 1, 0], 1, 2),  # nothing to find: the lowest from which on no more arise
        ([5, 0, 4, 3], [0, 9, 1, 1], 1, 0),  # numbers need not fall with the threshold
    ],
)
def test_choose_index(found, alarms, allowed, expected):
    found, alarms = np.array(found), np.array(alarms)
    assert choose_index(found, alarms, allowed) == expected
    assert choose_index(np.stack([found] * 2), np.stack([alarms] * 2), allowed).tolist() == [expected] * 2


def test_interval_of_a_share_is_that_of_the_binomial_distribution():
    rng = np.random.default_rng(1)
    found = (rng.random(400) < 0.7).astype(int)
    interval = share_interval(found, np.ones(400))
    half = 1.96 * math.sqrt(found.mean() * (1 - found.mean()) / 400)
    # 1000 resamples: the ends vary by about a tenth of the half width
    assert interval.low == pytest.approx(found.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(found.mean() + half, abs=0.15 * half)


def test_intervals_contain_the_chosen_point_and_narrow_with_the_images():
    rng = np.random.default_rng(0)
    widths = []
    for images in (20, 500):
        best = rng.normal(170, 30, images)  # the level that each image's one defect reaches
        worst = rng.normal(90, 30, images)
        levels = np.arange(1, LEVELS + 1)
        found = (best[:, None] >= levels).astype(int)
        alarms = (worst[:, None] >= levels).astype(int)
        point = choose_point(found, alarms, np.ones(images, int), 0.1)
        assert point.false_alarms <= 0.1 and point.threshold in thresholds()
        assert point.found_interval.low <= point.found <= point.found_interval.high
        assert point.threshold_interval.low <= point.threshold <= point.threshold_interval.high
        widths.append(point.found_interval.high - point.found_interval.low)
    assert widths[1] < widths[0] / 2


def test_a_class_that_only_gives_false_alarms_is_never_marked():
    alarms = np.ones((10, LEVELS), int)
    point = choose_point(np.ones((10, LEVELS), int), alarms, np.ones(10, int), 0.1)
    assert (point.threshold, point.found, point.false_alarms) == (None, 0.0, 0.0)
    masks = point_of(None).masks(torch.tensor([[[0.0]], [[1.0]]]))
    assert not masks.any()


def test_masks_and_ids():
    probabilities = torch.tensor([[[0.5, 0.1, 0.9, 0.0]], [[0.3, 0.3, 0.1, 0.8]], [[0.2, 0.6, 0.0, 0.2]]])
    point = point_of(0.3, 0.2)
    assert point.masks(probabilities).tolist() == [[[True, True, False, True]], [[True, True, False, True]]]
    # 0.3/0.3 = 0.2/0.2: the first; 0.6/0.2 > 0.3/0.3; none; 0.8/0.3 > 0.2/0.2
    assert point.segment(probabilities).tolist() == [[1, 2, 0, 1]]
    with pytest.raises(ValueError, match='4 probabilities a pixel; expected 3'):
        point.masks(torch.zeros(4, 1, 1))


def test_stored_as_plain_values(tmp_path):
    point = point_of(0.25, None)
    torch.save(dict(meta=dict(operating_point=point.to_dict())), tmp_path / 'a.pth')
    torch.save(dict(meta={}), tmp_path / 'b.pth')
    assert read_operating_point(tmp_path / 'a.pth').thresholds == (0.25, math.inf)
    assert read_operating_point(tmp_path / 'b.pth') is None and read_operating_point({}) is None
    metadata = dict(operating_point=json.dumps(point.to_dict()))
    assert read_operating_point(metadata).thresholds == point.thresholds
    with pytest.raises(ValueError, match='operating point of another form'):
        read_operating_point(dict(operating_point='{"classes": {}, "colour": 1}'))
    with pytest.raises(FileNotFoundError, match=r'c\.pth does not exist'):
        read_operating_point(tmp_path / 'c.pth')
