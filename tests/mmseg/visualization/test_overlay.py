"""The style of all images: outlines, magnified regions, legend, text."""

import unicodedata
import warnings

import numpy as np
import pytest

from mmseg.visualization import text
from mmseg.visualization.overlay import Legend, Panel, compose, outline
from mmseg.visualization.regions import FACTORS, choose_windows

LEGEND = Legend.of(('normal', 'scratch', 'dent'), [(9, 9, 9), (0, 114, 178), (230, 159, 0)])


def _image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(80, 120, (height, width, 3), dtype=np.uint8)


def test_no_pixel_of_a_region_is_covered_and_every_class_has_its_colour():
    rng = np.random.default_rng(1)
    labels = np.zeros((90, 120), np.uint8)
    for _ in range(30):
        y, x = rng.integers(0, 80), rng.integers(0, 110)
        labels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = rng.integers(1, 3)
    labels[0, 0] = 255
    image = _image(90, 120)
    drawn = outline(image, labels, LEGEND.colors)
    regions = (labels == 1) | (labels == 2)
    assert (drawn[regions] == image[regions]).all()
    for color in LEGEND.colors.values():
        assert (drawn == color).all(axis=2).sum() > 30
    # the ignored pixel has no line
    assert (outline(image, np.where(regions, 0, labels), LEGEND.colors) == image).all()


def test_a_closed_region_has_no_second_line_inside():
    labels = np.zeros((80, 80), np.uint8)
    labels[20:61, 20:61] = 1
    labels[22:59, 22:59] = 0
    image = _image(80, 80)
    changed = (outline(image, labels, LEGEND.colors) != image).any(axis=2)
    assert not changed[20:61, 20:61].any() and changed[16:20, 40].any()


def test_the_classes_of_a_dataset_decide_colours_and_legend():
    labels = np.zeros((64, 64), np.uint8)
    labels[30, 30] = 1
    panels = [Panel('Image', _image(64, 64)), Panel('Prediction', _image(64, 64), labels)]
    drawn = compose(panels, LEGEND)
    # in the legend: both classes, also the one without a pixel
    for color in LEGEND.colors.values():
        assert (drawn[-25:] == color).all(axis=2).sum() > 50
    with pytest.raises(ValueError, match='one size'):
        compose([*panels, Panel('other', _image(10, 10))], LEGEND)
    with pytest.raises(ValueError, match='same size'):
        compose([Panel('other', _image(64, 64), labels[:9])], LEGEND)


def test_small_regions_are_magnified_at_native_scale():
    image = _image(600, 1500)
    labels = np.zeros((600, 1500), np.uint8)
    labels[300, 700:705] = 1
    labels[100:400, 100:400] = 2
    drawn = compose([Panel('Prediction', image, labels)], LEGEND)
    (window,) = choose_windows([labels], [1, 2], 1000)
    assert window.factor in FACTORS and window.x <= 700 and window.x + window.side >= 705
    crop = image[window.y : window.y + window.side, window.x : window.x + window.side]
    magnified = np.kron(crop, np.ones((window.factor, window.factor, 1), np.uint8))
    size = len(magnified)
    rows = drawn[-size - 40 :]
    # the corner of the window, far from the region, is found pixel for pixel
    corner = magnified[:20, :20]
    places = [
        (y, x)
        for y in range(len(rows) - 20)
        for x in range(30)
        if (rows[y : y + 20, x : x + 20] == corner).all()
    ]
    assert len(places) == 1
    y, x = places[0]
    # and so is the region inside its line
    top, left = (300 - window.y) * window.factor, (700 - window.x) * window.factor
    region = magnified[top : top + window.factor, left : left + 5 * window.factor]
    assert (rows[y + top :, x + left :][: window.factor, : 5 * window.factor] == region).all()


def test_windows_go_round_the_classes():
    labels = np.zeros((400, 400), np.uint8)
    for place in range(5):
        labels[20 + 70 * place, 20:30] = 1
    labels[380, 380] = 2
    windows = choose_windows([labels], [1, 2], 400)
    assert len(windows) == 2
    assert any(window.x + window.side >= 380 for window in windows)
    assert choose_windows([np.zeros((20, 20), np.uint8)], [1], 400) == []


def test_korean_text_takes_a_font_that_has_it(monkeypatch):
    text._note_missing.cache_clear()
    monkeypatch.setattr(text, 'find_font', lambda needed: '/fonts/Nanum.ttf')
    assert text.font_for('긁힘 a') == ('/fonts/Nanum.ttf', '긁힘 a')
    assert text.font_for('scratch') == (text.default_font(), 'scratch')
    # as macOS stores names
    assert text.font_for(unicodedata.normalize('NFD', '긁힘 a')) == ('/fonts/Nanum.ttf', '긁힘 a')


def test_a_font_that_only_names_scripts_is_no_font_for_them():
    text.find_font.cache_clear()
    path = text.find_font(frozenset({ord('가')}))
    assert path is None or 'lastresort' not in path.lower()


def test_without_such_a_font_a_note_is_given_once(monkeypatch):
    text._note_missing.cache_clear()
    monkeypatch.setattr(text, 'find_font', lambda needed: None)
    with pytest.warns(UserWarning, match=r'no installed font has Korean letters.*fonts-nanum'):
        assert text.font_for('긁힘1') == (text.default_font(), '??1')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        text.font_for('녹')
    image = np.full((30, 200, 3), 255, np.uint8)
    text.write_text(image, '긁힘 scratch', (2, 2), 15)
    assert (image < 100).any()


def test_long_names_lose_their_middle():
    name = 'a_very_long_name_of_an_image_0001.png'
    short = text.shortened(name, 15, 120)
    assert (
        text.text_width(short, 15) <= 120
        and short.startswith('a_')
        and short.endswith('png')
        and '…' in short
    )
