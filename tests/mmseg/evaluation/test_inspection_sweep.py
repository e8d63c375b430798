"""The sweep over all thresholds equals labelling the map at each of them."""

import numpy as np
import pytest
from scipy import ndimage

from mmseg.evaluation.inspection.levels import LEVELS
from mmseg.evaluation.inspection.matching import SIZE_LIMITS, Rule, find_defects, match
from mmseg.evaluation.inspection.sweep import sweep

EIGHT = np.ones((3, 3), bool)


def reference(predicted, labelled, rule):
    """Found by size, hits and false alarms, pixel by pixel from the definitions; with scipy's labelling."""
    ids, count = ndimage.label(labelled, EIGHT)
    defects = [ids == i for i in range(1, count + 1) if (ids == i).sum() >= rule.min_area]
    square = np.ones((2 * rule.tolerance + 1,) * 2, bool)
    zones = [ndimage.binary_dilation(defect, square) for defect in defects]
    near = ndimage.binary_dilation(labelled, square)
    found = np.zeros((len(defects),), bool)
    hits = alarms = 0
    ids, count = ndimage.label(predicted, EIGHT)
    for index in range(1, count + 1):
        component = ids == index
        area = component.sum()
        if area < rule.min_area:
            continue
        if (component & near).sum() / area >= rule.min_overlap:
            hits += 1
            found |= [bool((component & zone).any()) for zone in zones]
        else:
            alarms += 1
    by_size = [0, 0, 0, 0]
    for defect, is_found in zip(defects, found):
        by_size[sum(defect.sum() > limit for limit in SIZE_LIMITS)] += int(is_found)
    return by_size, hits, alarms


def smooth(rng, sigma, shape=(26, 31)):
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return noise / noise.std()


@pytest.mark.parametrize('sigma', [0.3, 1, 3])
@pytest.mark.parametrize('rule', [Rule(), Rule(4, 1, 0.5), Rule(2, 0, 1.0)], ids=str)
def test_equals_the_reference_at_every_threshold(sigma, rule):
    rng = np.random.default_rng(int(sigma * 10))
    for scale, offset in ((3, 2), (3, 200), (60, 60)):
        levels = np.clip(smooth(rng, sigma) * scale + offset, 0, LEVELS).astype(np.uint8)
        labelled = smooth(rng, 1.2) > 1.5
        defects = find_defects(labelled, rule)
        result = sweep(levels, defects, rule)
        for threshold in range(1, LEVELS + 1):
            if threshold > levels.max() and result.false_alarms[threshold - 1] == 0:
                continue
            expected = reference(levels >= threshold, labelled, rule)
            at = threshold - 1
            assert (result.found[:, at].tolist(), result.hits[at], result.false_alarms[at]) == expected
            one = match(levels >= threshold, defects, rule)
            assert (one.found.tolist(), one.hits, one.false_alarms) == expected


def test_a_plateau_of_any_form_is_one_component():
    levels = np.zeros((9, 9), np.uint8)
    levels[1:8, 1] = levels[1, 1:8] = levels[1:8, 7] = levels[7, 3:8] = (
        40  # a spiral that ends beside its begin
    )
    levels[3, 4] = 9
    result = sweep(levels, find_defects(np.zeros((9, 9), bool), Rule()), Rule())
    assert result.false_alarms[:9].tolist() == [2] * 9
    assert result.false_alarms[9:40].tolist() == [1] * 31 and not result.false_alarms[40:].any()


def test_nothing_predicted_and_everything_predicted():
    labelled = np.zeros((20, 20), bool)
    labelled[3:5, 3:5] = True
    defects = find_defects(labelled, Rule())
    result = sweep(np.zeros((20, 20), np.uint8), defects, Rule())
    assert not result.found.any() and not result.hits.any() and not result.false_alarms.any()
    # a detection of the whole image locates nothing: it is a false alarm, and finds nothing
    result = sweep(np.full((20, 20), LEVELS, np.uint8), defects, Rule())
    assert not result.found.any() and (result.false_alarms == 1).all()


def test_merged_and_split_detections():
    labelled = np.zeros((30, 30), bool)
    labelled[5:9, 2:6] = labelled[5:9, 20:24] = True
    defects = find_defects(labelled, Rule(tolerance=1))
    merged = np.zeros((30, 30), bool)
    merged[6:8, 2:24] = True  # over both: finds both, is one hit
    result = match(merged, defects, Rule(tolerance=1))
    assert (result.found.sum(), result.hits, result.false_alarms) == (2, 1, 0)
    split = np.zeros((30, 30), bool)
    split[5, 2:6] = split[8, 2:6] = True  # two on one: find it once, are two hits
    result = match(split, defects, Rule(tolerance=1))
    assert (result.found.sum(), result.hits, result.false_alarms) == (1, 2, 0)


def test_tolerance_and_sizes():
    labelled = np.zeros((60, 60), bool)
    labelled[10, 10:15] = True  # 5 px
    labelled[30:33, 10:12] = True  # 6 px
    labelled[40:57, 40:57] = True  # 289 px
    rule = Rule(tolerance=2)
    assert find_defects(labelled, rule).count_by_bin.tolist() == [1, 1, 0, 1]
    for distance, expected in ((2, [1, 0, 0, 0]), (3, [0, 0, 0, 0])):
        predicted = np.zeros((60, 60), bool)
        predicted[10 + distance, 14 + distance] = True
        assert match(predicted, find_defects(labelled, rule), rule).found.tolist() == expected


def test_a_defect_below_min_area_neither_counts_nor_makes_false_alarms():
    labelled = np.zeros((20, 20), bool)
    labelled[5, 5] = True
    rule = Rule(min_area=3)
    predicted = np.zeros((20, 20), bool)
    predicted[4:7, 4:7] = True
    defects = find_defects(labelled, rule)
    result = match(predicted, defects, rule)
    assert not defects.count_by_bin.any()
    assert (result.found.sum(), result.hits, result.false_alarms) == (0, 1, 0)


def test_rule_refuses_what_has_no_meaning():
    for arguments, message in (
        (dict(min_area=0), 'min_area=0'),
        (dict(tolerance=-1), 'tolerance=-1'),
        (dict(min_overlap=0), 'min_overlap=0'),
    ):
        with pytest.raises(ValueError, match=message):
            Rule(**arguments)
