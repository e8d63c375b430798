"""The defects of a prediction: its connected regions."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Defect:
    """One region of one class; pixels that touch at a corner belong together.

    Attributes:
        class_id: its class.
        name: of the class.
        box: x and y of the upper left pixel, width and height, in pixels.
        area: in pixels.
        centroid: x and y of the mean of its pixels; the centre of the upper left pixel of an image is 0, 0.
        mean_probability: of its class, over its pixels, 0 to 1.
        max_probability: likewise, the greatest.
    """

    class_id: int
    name: str
    box: tuple[int, int, int, int]
    area: int
    centroid: tuple[float, float]
    mean_probability: float
    max_probability: float


def find_defects(
    labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]
) -> list[tuple[Defect, np.ndarray]]:
    """The regions of all classes but 0, the normal one, and the mask of each in its box.

    Args:
        labels: class ids ``(H, W)``.
        probabilities: of the classes, ``(C, H, W)``, 0 to 1.
        classes: their names.

    Returns:
        Pairs of a region and its mask bool ``(height, width)``, by class, then from top to bottom.
    """
    result = []
    for class_id in range(1, len(classes)):
        mask = (labels == class_id).astype(np.uint8)
        if not mask.any():
            continue
        count, regions, stats, centers = cv2.connectedComponentsWithStats(mask, connectivity=8)
        numbers = np.arange(1, count)
        scores = probabilities[class_id]
        means, highest = ndimage.mean(scores, regions, numbers), ndimage.maximum(scores, regions, numbers)
        for number in numbers:
            x, y, width, height, area = map(int, stats[number])
            defect = Defect(
                class_id,
                classes[class_id],
                (x, y, width, height),
                area,
                (float(centers[number][0]), float(centers[number][1])),
                float(means[number - 1]),
                float(highest[number - 1]),
            )
            result.append((defect, regions[y : y + height, x : x + width] == number))
    return result
