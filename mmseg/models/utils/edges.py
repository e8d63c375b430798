"""Edges between the classes of label maps, on the device of the labels."""

import torch.nn.functional as F
from torch import Tensor


def label_edges(labels: Tensor, width: int, ignore_index: int = 255) -> Tensor:
    """What the transform ``GenerateEdge`` makes of each label map, without a shape that depends on values.

    Args:
        labels: class ids (N, H, W).
        width: of the edges in pixels.
        ignore_index: label without an edge.

    Returns:
        1 on an edge and 0 elsewhere, int64 (N, H, W).
    """
    counted = labels != ignore_index
    low, high, whole = slice(None, -1), slice(1, None), slice(None)
    edge = None
    # rows and columns of the marked pixel and of the neighbour that it is compared with
    for here, there in (
        ((high, whole), (low, whole)),
        ((whole, low), (whole, high)),
        ((low, low), (high, high)),
        ((low, high), (high, low)),
    ):
        here, there = (whole, *here), (whole, *there)
        differs = (labels[here] != labels[there]) & counted[here] & counted[there]
        # padded on the side that the slice leaves out: (left, right, top, bottom)
        sides = [int(part is side) for part in here[:0:-1] for side in (high, low)]
        marked = F.pad(differs.float(), sides)
        edge = marked if edge is None else edge.maximum(marked)
    before = width // 2
    after = width - 1 - before
    return F.max_pool2d(F.pad(edge, (before, after, before, after)), width, stride=1).long()
