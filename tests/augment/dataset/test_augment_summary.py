"""The contact sheet shows defects at their own scale."""

import numpy as np
import pytest

from augment.dataset.components import CLASS_COLOURS
from augment.dataset.rows import EditRow, RegionRecord
from augment.dataset.summary import (
    CELL,
    accepted_edits,
    enlarged,
    outline,
    refused_at,
    shown_defect,
    window_of,
)


def mask_with(shape, *boxes) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def window_around(mask):
    return window_of(mask.shape, shown_defect(mask, np.zeros(mask.shape, int)))


def edit_with(*regions) -> EditRow:
    """An accepted edit with regions (box, accepted, reasons)."""
    records = [
        RegionRecord(box=list(box), size=[64, 64], accepted=accepted, reasons=reasons)
        for box, accepted, reasons in regions
    ]
    same = dict.fromkeys(('file', 'split', 'source', 'source_sha256', 'word', 'target_prompt'), 'x')
    return EditRow(
        **same,
        kind='edit',
        label=None,
        label_sha256=None,
        accepted=True,
        reasons=[],
        regions=records,
        seed=0,
        parameters={},
        model=None,
        reconstruction_psnr=None,
        metrics=None,
    )


@pytest.mark.parametrize(
    ('boxes', 'window'),
    [
        ([(300, 200, 304, 203), (10, 10, 11, 11)], (270, 169, 334, 233)),  # the larger of two, in 64 pixels
        ([(100, 50, 200, 60)], (0, 0, 300, 300)),  # three times the extent, moved into the image
        ([(0, 0, 400, 300)], (0, 0, 512, 512)),
        ([], (0, 0, 512, 512)),
    ],
)
def test_the_window_is_around_the_largest_defect(boxes, window):
    assert window_around(mask_with((512, 512), *boxes)) == window


def test_a_defect_that_was_edited_is_shown_before_a_larger_one_whose_region_was_refused():
    large, small = (10, 10, 20, 20), (100, 100, 104, 104)
    mask = mask_with((128, 128), large, small)
    rust = edit_with(((0, 0, 64, 64), False, ['it vanished']), ((90, 90, 128, 128), True, []))
    dent = edit_with(((0, 0, 64, 64), True, []), ((90, 90, 128, 128), True, []))
    assert shown_defect(mask, accepted_edits([rust, dent, None], mask.shape)) == small
    assert shown_defect(mask, accepted_edits([dent], mask.shape)) == large
    assert refused_at(rust, large) == ['it vanished']
    assert refused_at(rust, small) == refused_at(dent, large) == refused_at(rust, None) == []


def test_windows_keep_the_shape_of_small_images():
    assert window_around(mask_with((48, 200), (100, 20, 103, 23))) == (69, 0, 133, 48)


def test_a_small_defect_is_enlarged_and_its_outline_leaves_it_visible():
    mask = mask_with((512, 512), (300, 200, 305, 205))
    image = np.zeros((512, 512, 3), np.uint8)
    image[mask] = 200
    window = window_around(mask)
    cell = outline(enlarged(image, window), mask.astype(np.uint8) * 2, window)
    assert cell.shape == (CELL, CELL, 3)
    defect, drawn = (cell == 200).all(-1), (cell == CLASS_COLOURS[2]).all(-1)
    # 5 pixels become 15; a line of one pixel, two pixels outside, is the border of 19 x 19.
    assert drawn.sum() == 4 * 18 and defect.sum() == 15 * 15


def test_large_windows_are_reduced_to_a_cell():
    assert enlarged(np.zeros((512, 1024, 3), np.uint8), (0, 0, 1024, 512)).shape == (CELL // 2, CELL, 3)


def test_each_class_is_outlined_in_its_colour_also_when_reduced_and_ignored_pixels_are_not():
    label = np.zeros((600, 600), np.uint8)
    label[100:200, 100:200], label[300:301, 300:400], label[500, 500] = 1, 2, 255
    drawn = outline(np.zeros((CELL, CELL, 3), np.uint8), label, (0, 0, 600, 600))
    colours = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert colours == {(0, 0, 0), CLASS_COLOURS[1], CLASS_COLOURS[2]}
