"""Small things drawn on the part: a layer with colour, opacity and exact pixel coverage."""

import cv2
import numpy as np

#: Drawing happens on a grid this many times finer than the image, so that coverage is exact to 1/9 pixel.
FINE = 3

#: Share of a pixel that a defect must cover for the pixel to carry its label.
LABEL_COVERAGE = 0.34

_BITS = 4


class Layer:
    """Shapes drawn one over the other, then laid onto an image.

    Points are pixels ``(N, 2)``, widths and radii pixels, colours BGR, opacity 0..1. ``softness`` is the
    deviation in pixels of the blur between a shape and the sensor.
    """

    def __init__(self, size: int, softness: float = 0.5) -> None:
        self.size = size
        self.softness = softness
        fine = size * FINE
        self._paint = np.zeros((fine, fine, 3), np.uint8)
        self._cover = np.zeros((fine, fine), np.uint8)
        self._low = np.array([size, size])
        self._high = np.array([0, 0])

    def _fixed(self, points: np.ndarray, reach: float) -> np.ndarray:
        points = np.atleast_2d(points)
        self._low = np.minimum(self._low, np.floor(points.min(0) - reach).astype(int))
        self._high = np.maximum(self._high, np.ceil(points.max(0) + reach).astype(int) + 1)
        return np.round(((points + 0.5) * FINE - 0.5) * 2**_BITS).astype(np.int32)

    def dot(self, centre: np.ndarray, radius: float, colour, opacity: float) -> None:
        """A filled disc."""
        x, y = (int(v) for v in self._fixed(centre, radius + 1)[0])
        r = max(1, round(radius * FINE * 2**_BITS))
        cv2.circle(self._paint, (x, y), r, tuple(map(float, colour)), -1, cv2.LINE_8, _BITS)
        cv2.circle(self._cover, (x, y), r, float(max(1, round(255 * opacity))), -1, cv2.LINE_8, _BITS)

    def line(self, path: np.ndarray, width: float, colour, opacity: float, closed: bool = False) -> None:
        """An open or closed line."""
        fixed = self._fixed(path, width + 1)
        thick = max(1, round(width * FINE))
        cv2.polylines(self._paint, [fixed], closed, tuple(map(float, colour)), thick, cv2.LINE_8, _BITS)
        value = float(max(1, round(255 * opacity)))
        cv2.polylines(self._cover, [fixed], closed, value, thick, cv2.LINE_8, _BITS)

    def area(self, outline: np.ndarray, colour, opacity: float) -> None:
        """A filled outline."""
        fixed = self._fixed(outline, 1)
        cv2.fillPoly(self._paint, [fixed], tuple(map(float, colour)), cv2.LINE_8, _BITS)
        cv2.fillPoly(self._cover, [fixed], float(max(1, round(255 * opacity))), cv2.LINE_8, _BITS)

    def _window(self) -> tuple[slice, slice] | None:
        margin = int(np.ceil(3 * self.softness)) + 1
        x0, y0 = np.maximum(self._low - margin, 0)
        x1, y1 = np.minimum(self._high + margin, self.size)
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def _shrink(self, plane: np.ndarray, window: tuple[slice, slice], binary: bool = False) -> np.ndarray:
        rows, columns = window
        fine = plane[rows.start * FINE : rows.stop * FINE, columns.start * FINE : columns.stop * FINE]
        if binary:
            fine = cv2.threshold(fine, 0, 255, cv2.THRESH_BINARY)[1]
        size = (columns.stop - columns.start, rows.stop - rows.start)
        return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)

    def labelled(self, allowed: np.ndarray) -> np.ndarray:
        """Pixels ``(H, W)`` bool that the shapes cover, where ``allowed`` ``(H, W)`` bool permits."""
        mask = np.zeros((self.size, self.size), bool)
        window = self._window()
        if window is not None:
            solid = self._shrink(self._cover, window, binary=True)
            mask[window] = (solid > 255 * LABEL_COVERAGE) & allowed[window]
        return mask

    def lay_onto(self, image: np.ndarray, visible: np.ndarray) -> None:
        """Composites the shapes onto ``image`` ``(H, W, 3)`` float32 in place, where ``visible`` is 1."""
        window = self._window()
        if window is None:
            return
        solid = self._shrink(self._cover, window, binary=True).astype(np.float32)
        paint = self._shrink(self._paint, window).astype(np.float32)
        opacity = self._shrink(self._cover, window).astype(np.float32) / 255
        if self.softness > 0:
            blur = (0, 0), self.softness
            solid, paint, opacity = (cv2.GaussianBlur(p, *blur) for p in (solid, paint, opacity))
        opacity *= visible[window]
        colour = paint * (255 / np.maximum(solid, 1.0))[..., None]
        target = image[window]
        target += opacity[..., None] * (np.minimum(colour, 255) - target)
