"""Where a defect fits into a normal image.

A place fits if the image there equals the surface of the defect's own image, under the defect and around it, to within a
root mean square difference. So a defect of the plain surface comes to the plain surface, one at an edge to such an edge, and
neither over a hole nor onto the background, where no defect has been.
"""

import cv2
import numpy as np

from augment.dataset.donors import Patch

SEARCH = 192
"""Side in pixels of the window, drawn at random, in which a place is looked for; at least twice the patch."""


def find_place(
    image: np.ndarray, occupied: np.ndarray, patch: Patch, difference: float, rng: np.random.Generator
) -> tuple[int, int] | None:
    """A place for ``patch``, drawn from those that fit in a window drawn from the image.

    Args:
        image: ``(H, W, 3)`` uint8.
        occupied: ``(H, W)`` bool, where no defect or surroundings of one may come.
        patch: the defect.
        difference: most root mean square difference in levels of 255.
        rng: draws window and place.

    Returns:
        (left, top) in the image, or None where none fits.
    """
    height, width = patch.ids.shape
    if height > image.shape[0] or width > image.shape[1]:
        return None
    sides = [min(full, max(SEARCH, 2 * side)) for full, side in zip(image.shape, (height, width))]
    top, left = (int(rng.integers(full - side + 1)) for full, side in zip(image.shape, sides))
    window = np.s_[top : top + sides[0], left : left + sides[1]]
    fits = differences(image[window], patch) <= difference
    fits &= ~covers(occupied[window], patch.near)
    places = np.argwhere(fits)
    if not len(places):
        return None
    y, x = places[rng.integers(len(places))]
    return left + int(x), top + int(y)


def differences(image: np.ndarray, patch: Patch) -> np.ndarray:
    """Root mean square difference between ``image`` and the surface of ``patch``, by the place of its corner."""
    near = np.repeat(patch.near[..., None], 3, axis=2).astype(np.float32)
    squares = cv2.matchTemplate(
        image.astype(np.float32), patch.surface.astype(np.float32), cv2.TM_SQDIFF, mask=near
    )
    return np.sqrt(np.maximum(squares, 0) / near.sum())


def covers(occupied: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Whether ``near`` has a pixel that is ``occupied``, by the place of its corner."""
    overlap = cv2.matchTemplate(occupied.astype(np.float32), near.astype(np.float32), cv2.TM_CCORR)
    return overlap > 0.5
