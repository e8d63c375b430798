"""Edge maps from label maps."""

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform

from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GenerateEdge(BaseTransform):
    """Mark class boundaries of ``gt_seg_map`` in ``gt_edge_map`` (H, W), 1 on an edge and 0 elsewhere.

    Neighbours in eight directions are compared; a pixel next to an ignored one is not marked for it.

    Args:
        edge_width: Width of the edges in pixels.
        ignore_index: Label without a boundary.
    """

    def __init__(self, edge_width: int = 3, ignore_index: int = 255) -> None:
        self.edge_width = edge_width
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Add ``gt_edge_map`` and ``edge_width``."""
        labels = results['gt_seg_map']
        counted = labels != self.ignore_index
        edge = np.zeros(labels.shape, np.uint8)
        low, high, all_ = slice(None, -1), slice(1, None), slice(None)
        # (marked pixel, compared neighbour), one pair for each direction and its opposite
        pairs = (
            ((high, all_), (low, all_)),
            ((all_, low), (all_, high)),
            ((low, low), (high, high)),
            ((low, high), (high, low)),
        )
        for here, there in pairs:
            differs = (labels[here] != labels[there]) & counted[here] & counted[there]
            edge[here][differs] = 1
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (self.edge_width, self.edge_width))
        results['gt_edge_map'] = cv2.dilate(edge, kernel)
        results['edge_width'] = self.edge_width
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(edge_width={self.edge_width}, ignore_index={self.ignore_index})'
