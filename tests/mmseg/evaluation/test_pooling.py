"""Counts of several datasets pooled for one operating point."""

import numpy as np
import pytest

from mmseg.evaluation.inspection.levels import LEVELS, thresholds
from mmseg.evaluation.inspection.matching import Rule
from mmseg.evaluation.inspection.pooling import SweepCounts

RULE = Rule()


def _counts(seed, images, rule=RULE, names=('attached', 'broken')):
    """Random images whose defects and false alarms become fewer as the threshold rises."""
    rng = np.random.default_rng(seed)
    defects = rng.integers(0, 4, (2, images))
    scores = rng.integers(0, LEVELS + 1, (2, images, 3))
    alarms = rng.integers(0, LEVELS + 1, (2, images, 2))
    steps = np.arange(LEVELS)
    counted = np.arange(3) < defects[..., None]
    found = ((scores[..., None] > steps) & counted[..., None]).sum(2)
    return SweepCounts(names, rule, found, (alarms[..., None] > steps).sum(2), defects)


def test_pooled_folds_give_the_point_of_all_their_images(tmp_path):
    parts = [_counts(seed, images) for seed, images in ((0, 7), (1, 12), (2, 5))]
    for number, part in enumerate(parts):
        part.save(tmp_path / f'{number}.npz')
    pooled = SweepCounts.pool([SweepCounts.load(tmp_path / f'{number}.npz') for number in range(3)])
    assert pooled.images == 24 and pooled.names == ('attached', 'broken')
    point = pooled.choose(0.5)
    for index, name in enumerate(pooled.names):
        # the definition: the most found at no more than 12 false alarms in 24 images
        found = sum(part.found[index].sum(0) for part in parts)
        alarms = sum(part.false_alarms[index].sum(0) for part in parts)
        total = sum(part.defects[index].sum() for part in parts)
        best = found[alarms <= 12].max()
        chosen = point.classes[name]
        assert chosen.found == pytest.approx(100 * best / total)
        place = int(np.argmin(np.abs(thresholds() - chosen.threshold)))
        assert found[place] == best and alarms[place] == round(chosen.false_alarms * 24) <= 12
        assert chosen.found_interval.low <= chosen.found <= chosen.found_interval.high


def test_what_does_not_go_together_is_refused(tmp_path):
    first = _counts(0, 3)
    with pytest.raises(ValueError, match='can not be pooled'):
        SweepCounts.pool([first, _counts(1, 3, Rule(tolerance=5))])
    with pytest.raises(ValueError, match=r'dent, broken .* can not be pooled'):
        SweepCounts.pool([first, _counts(1, 3, names=('dent', 'broken'))])
    (tmp_path / 'x.npz').write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'x\.npz: no counts of an inspection'):
        SweepCounts.load(tmp_path / 'x.npz')
