"""The surface that the features of a part are cut into, and how light falls on it.

A coaxial ring light makes flat faces grey and everything sloped darker, whichever way it slopes. So a
feature is an outline with a band of wall inside it, whose darkness follows from the distance to the
outline, plus a smaller share that depends on the direction of the slope.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from .geometry import Frame

#: Grey level of a flat face and, as BGR factors, the tint of faces and of sloped walls.
FACE_LEVEL = 85.0
FACE_TINT = np.array([1.01, 0.99, 1.005], np.float32)
WALL_TINT = np.array([0.968, 0.997, 1.01], np.float32)

#: Tint of the light that comes through a bore.
TABLE_TINT = np.array([0.985, 1.0, 0.99], np.float32)

#: Level of the lit table beside the part: beyond 255, as the sensor saturates there.
BACKGROUND_LEVEL = 320.0

SUBPIXEL_BITS = 4


@dataclass
class Part:
    """A rendered part.

    ``image`` (H, W, 3) BGR float32 in 0..255; ``metal`` (H, W) float32, 1 on the part and 0 in bores and
    background; ``walls``, ``floors`` and ``rims``: lines in pixels along which things happen: outlines of
    steps, feet of pocket walls, borders between metal and light.
    """

    image: np.ndarray
    metal: np.ndarray
    frame: Frame
    walls: list[np.ndarray] = field(default_factory=list)
    floors: list[np.ndarray] = field(default_factory=list)
    rims: list[np.ndarray] = field(default_factory=list)


def fill(mask: np.ndarray, points: np.ndarray, value: float = 255) -> None:
    """Fills an outline given in pixels, anti-aliased."""
    fixed = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [fixed], value, cv2.LINE_AA, SUBPIXEL_BITS)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, a smooth cubic ramp between them."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def low_frequency(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Smooth noise ``(size, size)`` in about -1..1 with ``cells`` cells a side."""
    grid = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


class Surface:
    """Brightness and amount of wall of every pixel, to which features are added one by one."""

    def __init__(self, size: int, frame: Frame) -> None:
        self.size = size
        self.frame = frame
        self.tone = np.ones((size, size), np.float32)
        self.wall = np.zeros((size, size), np.float32)

    def _window(self, points: np.ndarray, margin: float) -> tuple[slice, slice] | None:
        low = np.floor(points.min(0) - margin).astype(int)
        high = np.ceil(points.max(0) + margin).astype(int) + 1
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, self.size)
        return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > 2 and y1 - y0 > 2 else None

    def step(
        self,
        outline: np.ndarray,
        width: float,
        depth: float,
        level: float = 1.0,
        lean: tuple[float, float] = (0.0, 0.0),
        directional: float = 0.25,
        outside: bool = False,
    ) -> bool:
        """Adds a step with a sloped wall along ``outline`` (pixels).

        ``width`` is the wall's in pixels, ``depth`` the share of light it loses, ``level`` the brightness
        of what the outline encloses, ``lean`` the image direction that darkens most and ``directional``
        how much that matters; ``outside`` puts the wall around the outline. False where all of it lies
        outside the image.
        """
        window = self._window(outline, width + 3 if outside else 2)
        if window is None:
            return False
        rows, columns = window
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        fill(mask, outline - [columns.start, rows.start])
        inside = mask > 127
        distance = cv2.distanceTransform((inside ^ outside).astype(np.uint8), cv2.DIST_L2, 5)
        # Without any outline in the window OpenCV answers with something near infinity.
        np.minimum(distance, 4 * self.size, out=distance)
        soft = min(2.5, 0.4 * width)
        band = smoothstep(distance, 0, soft) * (1 - smoothstep(distance, width - soft, width + soft))
        if directional:
            dx = cv2.Sobel(distance, cv2.CV_32F, 1, 0, ksize=3) / 8
            dy = cv2.Sobel(distance, cv2.CV_32F, 0, 1, ksize=3) / 8
            facing = cv2.blur(dx * lean[0] + dy * lean[1], (5, 5))
            band *= np.clip(1 - directional + directional * facing, 0, 1.3)
        self.tone[window] *= 1 - depth * band
        np.maximum(self.wall[window], band, out=self.wall[window])
        if level != 1.0:
            self.tone[window] *= 1 + (level - 1) * (mask.astype(np.float32) / 255)
        return True


def shade(rng: np.random.Generator, surface: Surface, metal: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Image ``(H, W, 3)`` BGR of the surface where there is metal, of ``light`` ``(H, W)`` elsewhere."""
    size = surface.size
    tone = surface.tone * (1 + 0.035 * low_frequency(rng, size, 3) + 0.012 * low_frequency(rng, size, 24))
    y, x = np.ogrid[-0.5 : 0.5 : size * 1j, -0.5 : 0.5 : size * 1j]
    tilt = rng.uniform(-0.09, 0.09, 2)
    tone *= (1 + tilt[0] * x + tilt[1] * y).astype(np.float32)
    wall = np.clip(surface.wall + 0.25 * low_frequency(rng, size, 4), 0, 1)[..., None]
    tint = FACE_TINT + wall * (WALL_TINT - FACE_TINT)
    image = (FACE_LEVEL * tone)[..., None] * tint
    grey = light[..., None] * TABLE_TINT
    return grey + metal[..., None] * (image - grey)
