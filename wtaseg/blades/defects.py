"""The two defect classes, drawn until an image has the pixels that its budget gives it.

A group (a cluster, a field, a ring, a crack, a region) is a function ``(rng, part, layer, pixels)`` that
draws about ``pixels`` labelled pixels at most; what is really covered is measured after each group.
"""

from collections.abc import Callable

import numpy as np

from .attached import cluster, dense_field, ring, sprinkle
from .broken import chips, crack, region
from .layer import Layer
from .surface import Part

Group = Callable[[np.random.Generator, Part, Layer, int], None]

#: After this many groups a budget counts as spent: the part may simply not offer the room.
MAX_GROUPS = 40


def _next_attached(rng: np.random.Generator, pixels: int) -> Group:
    if pixels > 900 and rng.random() < 0.75:
        return dense_field
    if 90 < pixels < 900 and rng.random() < 0.3:
        return ring
    if pixels > 60 and rng.random() < 0.7:
        return cluster
    return sprinkle


def _next_broken(rng: np.random.Generator, pixels: int) -> Group:
    if pixels > 220 and rng.random() < 0.7:
        return region
    return crack if pixels > 25 and rng.random() < 0.85 else chips


def draw_defects(
    rng: np.random.Generator, part: Part, image: np.ndarray, attached: int, broken: int
) -> np.ndarray:
    """Draws defects of about the given numbers of pixels onto ``image`` ``(H, W, 3)`` in place.

    Returns the label map ``(H, W)`` uint8: 0 normal, 1 attached, 2 broken.
    """
    size = image.shape[0]
    label = np.zeros((size, size), np.uint8)
    metal = part.metal > 0.5
    for value, budget, choose in ((1, attached, _next_attached), (2, broken, _next_broken)):
        layer = Layer(size, rng.uniform(0.4, 0.65))
        covered = np.zeros((size, size), bool)
        for _ in range(MAX_GROUPS):
            left = budget - int(covered.sum())
            if left <= max(4, 0.06 * budget):
                break
            choose(rng, left)(rng, part, layer, left)
            covered = layer.labelled(metal)
        layer.lay_onto(image, part.metal)
        label[covered] = value
    return label
