"""The rule that chooses a word, on the published table and on cases made for each of its steps."""

import math

import pytest
from study_helpers import COLUMNS, PUBLISHED

from wtaseg.studies.selection import select_word


def published(**changed):
    words = {**PUBLISHED, **changed}
    return words.pop('Original'), words


def reasons_of(selection, word):
    return [text for text in selection.reasons if text.startswith(f'{word}:')]


def test_published_table_gives_peeling():
    selection = select_word(COLUMNS, *published())
    assert selection.word == 'peeling'
    for word, metric in (
        ('blistering', 'Broken IoU 22.21 → 21.42'),
        ('corrosion', 'Attached IoU 30.04 → 28'),
        ('scratch', 'Attached IoU'),
    ):
        assert len(reasons_of(selection, word)) == 1 and 'left out' in reasons_of(selection, word)[0]
        assert metric in reasons_of(selection, word)[0]
    # 37 against 37.02 counts as no loss
    assert reasons_of(selection, 'dent')[0] == 'dent: stays; within the tolerance: Broken Acc 37.02 → 37.'
    assert reasons_of(selection, 'peeling')[1].startswith(
        'peeling: best in 3 (Attached Acc, Broken IoU, mAcc)'
    )
    assert selection.reasons[-1] == 'Chosen: peeling.'


def test_tolerance_is_of_points_and_includes_its_bound():
    original, words = published()
    at_bound = (*words['peeling'][:3], 36.97, *words['peeling'][4:])
    assert select_word(COLUMNS, original, {'w': at_bound}).word == 'w'
    beyond = (*words['peeling'][:3], 36.96, *words['peeling'][4:])
    assert select_word(COLUMNS, original, {'w': beyond}).word is None
    # without tolerance dent goes too, and peeling still wins over rust
    strict = select_word(COLUMNS, original, words, tolerance=0)
    assert strict.word == 'peeling' and 'left out' in reasons_of(strict, 'dent')[0]


def test_second_places_decide_between_equal_first_places():
    # a and b are best once and second once, c is best twice
    words = {'a': (9, 5, 5, 8), 'b': (5, 9, 8, 6), 'c': (8, 8, 9, 9)}
    assert select_word('wxyz', (0, 0, 0, 0), words).word == 'c'
    # each best twice: a in w and y, b in x and z; only a is ever second, in x
    words = {'a': (9, 8, 9, 1), 'b': (7, 9, 7, 9), 'c': (8, 1, 8, 8)}
    assert select_word('wxyz', (0, 0, 0, 0), words).word == 'a'
    # each is best once and second once: the mean decides, 21 / 3 for a and b, 24 / 3 for c
    level = {'a': (9, 7, 5), 'b': (8, 9, 4), 'c': (7, 8, 9)}
    selection = select_word('xyz', (0, 0, 0), level)
    assert selection.word == 'c' and any('are equally often best' in text for text in selection.reasons)


def test_a_metric_that_was_not_measured_is_not_compared():
    selection = select_word(('x', 'y'), (1, 1), {'a': (2, math.nan), 'b': (1.5, 9)})
    assert selection.word == 'a' and selection.reasons[0].startswith('y is not compared')


def test_nothing_to_choose_from():
    assert select_word(('x',), (5,), {'a': (4,)}).reasons[-1].startswith('No word is left')
    with pytest.raises(ValueError, match='no word'):
        select_word(('x',), (5,), {})
    with pytest.raises(ValueError, match='a has 2 values for 1 metrics'):
        select_word(('x',), (5,), {'a': (4, 5)})
