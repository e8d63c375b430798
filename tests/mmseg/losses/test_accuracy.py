import pytest
import torch

from mmseg.models.losses import Accuracy, accuracy

# Four pixels of three classes; the highest score is of class 0, 1, 2, 2, the second of 1, 0, 0, 1.
SCORES = torch.tensor([[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.4, 0.0, 0.6], [0.1, 0.2, 0.7]]).T.reshape(
    1, 3, 2, 2
)
LABEL = torch.tensor([[[0, 0], [255, 1]]])


def test_by_hand():
    assert accuracy(SCORES, LABEL).tolist() == pytest.approx([25.0])
    assert accuracy(SCORES, LABEL, ignore_index=255).tolist() == pytest.approx([100 / 3])
    one, two = accuracy(SCORES, LABEL, topk=(1, 2), ignore_index=255)
    assert (one.item(), two.item()) == pytest.approx((100 / 3, 100))
    # 0.6 is above the threshold, the second-best 0.4 and 0.2 are not.
    assert Accuracy((2,), 0.5, 255)(SCORES, LABEL)[0].item() == pytest.approx(100 / 3)


def test_only_ignored_pixels():
    assert accuracy(SCORES, torch.full_like(LABEL, 255), ignore_index=255).item() == pytest.approx(100)
    assert accuracy(SCORES[:0], LABEL[:0]).item() == 0


def test_errors():
    with pytest.raises(ValueError, match='topk=4 is above the number of classes, 3'):
        accuracy(SCORES, LABEL, topk=4)
    with pytest.raises(ValueError, match='do not fit'):
        accuracy(SCORES, LABEL[:, :1])
