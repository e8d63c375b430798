from math import log

import pytest
import torch

from mmseg.models.losses import BoundaryLoss, OhemCrossEntropy


def test_boundary_weighs_edges_and_other_pixels_equally():
    # Logits 0: ln 2 each. One edge, two others, one ignored: weights 2/3 and 1/3, mean over four pixels.
    value = BoundaryLoss(loss_weight=2.0)(torch.zeros(1, 1, 2, 2), torch.tensor([[[1, 0], [0, 255]]]))
    assert value.item() == pytest.approx(2 * log(2) * (2 / 3 + 2 * 1 / 3) / 4)


def test_ohem_averages_the_hard_pixels():
    # p of the label: 3/4, 1/2, 1/4, and one ignored.
    pred = torch.tensor([[log(3), 0.0, 0.0, 0.0], [0.0, 0.0, log(3), 50.0]]).view(1, 2, 1, 4)
    label = torch.tensor([[[0, 0, 0, 255]]])
    assert OhemCrossEntropy(thres=0.6, min_kept=1)(pred, label).item() == pytest.approx((log(2) + log(4)) / 2)
    # No pixel is below 0.1: the threshold becomes that of the second hardest, which leaves the hardest.
    assert OhemCrossEntropy(thres=0.1, min_kept=1)(pred, label).item() == pytest.approx(log(4))
