"""The labelled regions of a label map, for annotation programs: as masks or as outlines."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.measure import approximate_polygon, find_contours

# An outline passes a pixel's centre at a distance of at least sqrt(1/8) = 0.354. Simplified by less, it still has the
# same centres inside.
_TOLERANCE = 0.3


@dataclass(frozen=True)
class LabelledRegion:
    """Pixels of one class that touch, at least at a corner.

    Attributes:
        class_id: of the class, 255 for ignored pixels.
        x: of the first column, in pixels.
        y: of the first row, in pixels.
        mask: bool ``(h, w)``.
    """

    class_id: int
    x: int
    y: int
    mask: np.ndarray

    def outline(self) -> np.ndarray | None:
        """Corners ``(N, 2)`` as (x, y) in the image, N >= 3, of a polygon that holds the centres of exactly these pixels.

        None where the region has a hole, which such a polygon can not express.
        """
        contours = find_contours(np.pad(self.mask, 1).astype(float), 0.5, fully_connected='high')
        if len(contours) != 1:
            return None
        corners = approximate_polygon(contours[0], _TOLERANCE)[:-1, ::-1]
        # of the padded mask, where a pixel's centre has whole numbers
        return corners + np.array([self.x - 0.5, self.y - 0.5])


def labelled_regions(ids: np.ndarray) -> Iterator[LabelledRegion]:
    """The regions of a label map ``(H, W)`` uint8 but those of class 0, by class, then from top to bottom."""
    for class_id in np.flatnonzero(np.bincount(ids.ravel(), minlength=256)[1:]) + 1:
        chosen = (ids == class_id).astype(np.uint8)
        count, regions, stats, _ = cv2.connectedComponentsWithStats(chosen, connectivity=8)
        for number in range(1, count):
            x, y, width, height = (int(value) for value in stats[number, : cv2.CC_STAT_AREA])
            mask = regions[y : y + height, x : x + width] == number
            yield LabelledRegion(int(class_id), x, y, mask)
