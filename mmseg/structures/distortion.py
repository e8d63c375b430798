"""A photometric distortion, drawn in one place and computed in another."""

from typing import NamedTuple


class Distortion(NamedTuple):
    """What ``PhotoMetricDistortion`` draws for an image; the defaults change nothing.

    Attributes:
        brightness: is added to all values, 0 to 255.
        early_contrast: factor of all values, after the brightness.
        saturation: factor of the saturation; nan: none.
        hue: steps of OpenCV's 180 around the circle; nan: none.
        late_contrast: factor of all values, at the end.
    """

    brightness: float = 0.0
    early_contrast: float = 1.0
    saturation: float = float('nan')
    hue: float = float('nan')
    late_contrast: float = 1.0
