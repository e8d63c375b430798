"""The small regions of label maps, and the windows in which they are magnified."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: A region is small if its longer side is at most this share of the image's.
SMALL = 0.1
#: Factors by which windows are magnified.
FACTORS = range(8, 3, -1)
#: Side of a magnified window in pixels, and how many there are at most.
SHOWN, MOST = 176, 3
#: A window is at least this many times as large as its region.
SURROUNDINGS = 1.8


@dataclass(frozen=True)
class Window:
    """A square of an image to magnify: upper left corner and side in pixels, and the factor."""

    x: int
    y: int
    side: int
    factor: int


@dataclass(frozen=True)
class _Region:
    class_id: int
    x: int
    y: int
    width: int
    height: int
    area: int


def choose_windows(labels: Sequence[np.ndarray], class_ids: Sequence[int], width: int) -> list[Window]:
    """Windows around small regions: of each class in turn, large before tiny ones, which may be noise.

    Args:
        labels: label maps ``(H, W)`` of one image, of its truth and predictions; their regions come in this order.
        class_ids: the classes to look at.
        width: pixels for all magnified windows side by side.

    Returns:
        At most :data:`MOST` windows; a region inside an earlier window gets none.
    """
    windows: list[Window] = []
    most = min(MOST, max(1, width // (SHOWN + 5)))
    for labelled in labels:
        shape = labelled.shape
        queues = [_small_regions(labelled, index) for index in class_ids]
        # one of each class, then the second of each
        for round_ in range(max(map(len, queues), default=0)):
            for queue in queues:
                if round_ >= len(queue) or len(windows) == most:
                    continue
                region = queue[round_]
                window = _window(region, shape, min(SHOWN, width))
                if window is not None and not any(_holds(other, region) for other in windows):
                    windows.append(window)
    return windows


def _small_regions(labels: np.ndarray, class_id: int) -> list[_Region]:
    mask = (labels == class_id).astype(np.uint8)
    if not mask.any():
        return []
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    limit = SMALL * max(labels.shape)
    regions = [_Region(class_id, *map(int, row)) for row in stats[1:]]
    small = [region for region in regions if max(region.width, region.height) <= limit]
    return sorted(small, key=lambda region: (-region.area, region.y, region.x))


def _window(region: _Region, shape: tuple[int, int], shown: int) -> Window | None:
    """The window around a region; None where the image is smaller than any."""
    needed = SURROUNDINGS * max(region.width, region.height)
    factor = next((factor for factor in FACTORS if shown // factor >= needed), FACTORS[-1])
    side = shown // factor
    if side > min(shape):
        return None
    x = min(max(0, region.x + region.width // 2 - side // 2), shape[1] - side)
    y = min(max(0, region.y + region.height // 2 - side // 2), shape[0] - side)
    return Window(x, y, side, factor)


def _holds(window: Window, region: _Region) -> bool:
    inside_x = window.x <= region.x and region.x + region.width <= window.x + window.side
    return inside_x and window.y <= region.y and region.y + region.height <= window.y + window.side
