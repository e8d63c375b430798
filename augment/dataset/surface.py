"""The surface of an image without its defects."""

import cv2
import numpy as np

SURFACE_GAP = 2
"""Pixels around a label that mix defect and surface, and are inpainted with it."""

INPAINT_RADIUS = 5


def surface_of(image: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """``image`` ``(h, w, 3)`` uint8 without its defects; ``distance`` ``(h, w)`` is that to the nearest of them."""
    covered = (distance <= SURFACE_GAP).astype(np.uint8)
    return cv2.inpaint(np.ascontiguousarray(image), covered, INPAINT_RADIUS, cv2.INPAINT_TELEA)
