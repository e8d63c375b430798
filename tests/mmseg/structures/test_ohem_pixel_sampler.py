from math import log
from types import SimpleNamespace

import pytest
import torch

from mmseg.models.losses import CrossEntropyLoss, DiceLoss, FocalLoss
from mmseg.structures import OHEMPixelSampler, build_pixel_sampler

# Five pixels of label 0 with probabilities 1/2, 1/4, 1/5, 1/10 and, ignored, almost 0.
LOGITS = torch.tensor([[0.0] * 5, [0.0, log(3), log(4), log(9), 50.0]]).view(1, 2, 1, 5)
LABEL = torch.tensor([[[[0, 0, 0, 0, 255]]]])


def weights(thresh, min_kept, loss=None, label=LABEL):
    head = SimpleNamespace(ignore_index=255, loss_decode=loss or CrossEntropyLoss())
    return OHEMPixelSampler(head, thresh, min_kept).sample(LOGITS, label).flatten().tolist()


@pytest.mark.parametrize(
    ('thresh', 'min_kept', 'expected'),
    [
        (0.3, 2, [0, 1, 1, 1, 0]),  # three are below 0.3, more than asked for
        (0.15, 2, [0, 0, 1, 1, 0]),  # one is below 0.15: the threshold rises to the third, 1/4
        (0.15, 100, [0, 1, 1, 1, 0]),  # too few pixels: the threshold is the last one's, 1/2
        (None, 2, [0, 0, 1, 1, 0]),
        (None, 100, [1, 1, 1, 1, 0]),
    ],
)
def test_keeps_the_hard_pixels(thresh, min_kept, expected):
    assert weights(thresh, min_kept) == expected
    assert weights(thresh, min_kept, label=LABEL[:, 0]) == expected


def test_losses_of_all_shapes_are_summed():
    losses = [CrossEntropyLoss(), FocalLoss(), CrossEntropyLoss(use_sigmoid=True)]
    assert weights(None, 2, losses) == [0, 0, 1, 1, 0]


def test_only_ignored_pixels():
    for thresh in (0.7, None):
        assert weights(thresh, 2, label=torch.full_like(LABEL, 255)) == [0] * 5


def test_is_one_graph_for_the_compiler():
    torch._dynamo.reset()
    for thresh in (0.3, None):
        sampler = OHEMPixelSampler(
            SimpleNamespace(ignore_index=255, loss_decode=CrossEntropyLoss()), thresh, 2
        )
        compiled = torch.compile(sampler.sample, backend='eager', fullgraph=True)
        assert torch.equal(compiled(LOGITS, LABEL), sampler.sample(LOGITS, LABEL))


def test_is_built_by_name_and_refuses_bad_arguments():
    built = build_pixel_sampler(dict(type='OHEMPixelSampler', min_kept=7), context='head')
    assert (built.context, built.thresh, built.min_kept) == ('head', None, 7)
    with pytest.raises(ValueError, match='min_kept must be at least 1'):
        weights(0.7, 0)
    with pytest.raises(ValueError, match='thresh is a probability'):
        weights(70, 10)
    with pytest.raises(ValueError, match='differ in height or width'):
        weights(0.7, 10, label=LABEL[..., :3])
    with pytest.raises(ValueError, match='DiceLoss has no loss per pixel'):
        weights(None, 10, DiceLoss())
