"""How many pixels of each defect an image is given, so that a whole set meets the class shares.

Defects are rare and heavy-tailed: many images have none, few have a dense field. Drawn independently,
the share of 200 images would scatter by a third. So the images of a split walk through the distribution
with a two-dimensional low-discrepancy sequence (additive recurrence, M. Roberts' R2): each stretch of
consecutive images covers it evenly, whatever the length of the split.
"""

import numpy as np

#: Share of all pixels, in the mean over images, that is labelled attached and broken.
ATTACHED_SHARE = 0.0020
BROKEN_SHARE = 0.0003

#: Quantiles of an image's defect pixels, relative; scaled so that the mean meets the share.
_ATTACHED = ((0.0, 0.30, 0.301, 0.45, 0.65, 0.82, 0.94, 1.0), (0, 0, 6, 45, 190, 700, 1900, 3800))
_BROKEN = ((0.0, 0.50, 0.501, 0.70, 0.85, 0.94, 1.0), (0, 0, 25, 80, 170, 420, 1100))

_PLASTIC = 1.32471795724474602596
_STEP = np.array([1 / _PLASTIC, 1 / _PLASTIC**2])


def _quantile(table: tuple, share: float, u: float) -> float:
    knots, values = (np.array(v, float) for v in table)
    mean = np.sum(np.diff(knots) * (values[1:] + values[:-1]) / 2)
    return float(np.interp(u, knots, values) / mean * share)


def defect_pixels(offset: np.ndarray, index: int, size: int) -> tuple[int, int]:
    """Pixels of attached and broken for image ``index`` of a split.

    Args:
        offset: Start of the split's sequence, two numbers in 0..1.
        index: Place in the split, from 0.
        size: Side of the image in pixels.
    """
    u = (offset + (index + 1) * _STEP) % 1.0
    pixels = size * size
    return (
        round(pixels * _quantile(_ATTACHED, ATTACHED_SHARE, u[0])),
        round(pixels * _quantile(_BROKEN, BROKEN_SHARE, u[1])),
    )
