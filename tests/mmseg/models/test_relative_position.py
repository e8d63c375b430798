"""Relative positions of BEiT, counted by hand, and their interpolation to another window."""

import pytest
import torch

from mmseg.models.utils.relative_position import relative_position_index, resize_relative_position_table


def test_index_of_a_window_of_one_row():
    # 1 x 2 patches: distances -1, 0, 1 make three rows, then class to patch, patch to class, class to class.
    # Row 0 of the table is for a query one left of its key.
    assert relative_position_index((1, 2)).tolist() == [[5, 3, 3], [4, 1, 0], [4, 2, 1]]


def test_a_table_of_the_same_window_is_unchanged():
    table = torch.randn(7 * 7 + 3, 2)
    assert resize_relative_position_table(table, (4, 4)) is table


@pytest.mark.parametrize('window', [(6, 6), (8, 5), (14, 7)])
def test_resizing_keeps_centre_ends_symmetry_and_class_token(window):
    distance = torch.arange(7.0) - 3
    # even in y, odd in x
    grid = distance.abs().unsqueeze(1) * 10 + distance
    table = torch.cat([grid.reshape(-1, 1), torch.tensor([[70.0], [80.0], [90.0]])])
    resized = resize_relative_position_table(table, window)
    height, width = (2 * side - 1 for side in window)
    assert resized.shape == (height * width + 3, 1)
    assert resized[-3:].flatten().tolist() == [70.0, 80.0, 90.0]
    resized = resized[:-3].reshape(height, width)
    y, x = window[0] - 1, window[1] - 1
    assert resized[y, x] == pytest.approx(0.0, abs=1e-4)
    # the largest distance of one window is that of the other
    assert resized[0, -1] == pytest.approx(33.0, abs=1e-3)
    assert torch.allclose(resized, resized.flip(0), atol=1e-4)
    assert torch.allclose(
        resized - resized[:, x : x + 1], -(resized - resized[:, x : x + 1]).flip(1), atol=1e-4
    )
    # distances are spaced geometrically: near the centre a step is about as wide as it was
    assert 0.5 < (resized[y, x + 1] - resized[y, x]).item() <= 1.0


def test_a_table_of_no_square_window_is_refused():
    with pytest.raises(ValueError, match='51 rows belongs to no square window'):
        resize_relative_position_table(torch.zeros(51, 2), (4, 4))
