"""What a style draws on: the defects of one class in a square window, with distances and noise fields."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..layer import Layer
from ..surface import smoothstep

#: A style changes nothing farther than this from a labelled pixel of the twin, in pixels.
GROW = 5

#: Up to this distance a style is at full strength; from here to ``GROW`` it fades out.
FULL = 3.5

#: Closed outlines enclosing at most this many pixels are styled with their inside.
LARGEST_HOLE = 900

#: Direction to the light in the image plane (x, y); relief is lit from the upper left.
LIGHT = np.array([-0.6, -0.8])

_FAR = 1e3


def grain(rng: np.random.Generator, side: int, sigma: float) -> np.ndarray:
    """Smooth noise ``(side, side)`` float32 of mean 0 and std 1 with structures of about ``sigma`` pixels."""
    coarse = max(1, int(sigma / 2))
    noise = rng.standard_normal((side // coarse + 2, side // coarse + 2), np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), max(0.3, sigma / coarse))
    noise = cv2.resize(noise, None, fx=coarse, fy=coarse, interpolation=cv2.INTER_CUBIC)[:side, :side]
    return noise / (noise.std() + 1e-6)


def distance_from(mask: np.ndarray) -> np.ndarray:
    """Distance ``(H, W)`` float32 in pixels to the nearest pixel of ``mask``; 0 on it."""
    if not mask.any():
        return np.full(mask.shape, _FAR, np.float32)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)


def fill_holes(mask: np.ndarray, largest: int) -> np.ndarray:
    """``mask`` with its enclosed holes of at most ``largest`` pixels filled."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    left, top, w, h, area = stats.T
    inner = (left > 0) & (top > 0) & (left + w < width) & (top + h < height) & (area <= largest)
    inner[0] = False
    return mask | inner[parts] if count > 1 else mask


@dataclass
class Canvas:
    """The defects of one class in a square window.

    Attributes:
        ground: ``(S, S, 3)`` float32 BGR, the metal without these defects; a style draws onto it in place.
        defect: ``(S, S, 3)`` float32, what the twin's defects add to the metal.
        mask: ``(S, S)`` bool, the twin's labelled pixels of this class.
        broken: Whether these are broken (silver) defects; attached (golden) ones otherwise.
        scale: The camera's scale, 1 where a unit of the part is a pixel of a 512 pixel image.
        region: ``(S, S)`` bool, ``mask`` with its small holes filled.
        near: ``(S, S)`` float32, distance to ``region`` in pixels.
        depth: ``(S, S)`` float32, distance to the outside of the closed region in pixels; 0 outside.
    """

    ground: np.ndarray
    defect: np.ndarray
    mask: np.ndarray
    broken: bool
    scale: float
    region: np.ndarray = field(init=False)
    near: np.ndarray = field(init=False)
    depth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.region = fill_holes(self.mask, LARGEST_HOLE)
        self.near = distance_from(self.region)
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
        closed = cv2.morphologyEx(self.region.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
        self.depth = cv2.distanceTransform(
            cv2.copyMakeBorder(closed, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 5
        )[1:-1, 1:-1]

    @property
    def side(self) -> int:
        """Side of the window in pixels."""
        return self.mask.shape[0]

    @property
    def reach(self) -> np.ndarray:
        """Strength ``(S, S)`` of the style: 1 near the defect, 0 from ``GROW`` pixels on."""
        return 1 - smoothstep(self.near, FULL, GROW)

    def box(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """Rows and columns of the window within ``reach`` pixels of ``(x, y)``."""
        low = np.floor(np.array([y, x]) - reach).astype(int)
        high = np.ceil(np.array([y, x]) + reach).astype(int) + 1
        (y0, x0), (y1, x1) = np.clip(low, 0, self.side), np.clip(high, 0, self.side)
        return slice(y0, y1), slice(x0, x1)

    def blend(self, colour: np.ndarray, opacity: np.ndarray) -> None:
        """Lays ``colour``, ``(3,)`` or ``(S, S, 3)``, onto the ground with ``opacity`` ``(S, S)`` in 0..1."""
        self.ground += opacity[..., None] * (colour - self.ground)

    def lay(self, layer: Layer) -> None:
        """Composites the shapes of ``layer``, whose size is the window's, onto the ground."""
        layer.lay_onto(self.ground, np.ones(self.mask.shape, np.float32))

    def sites(
        self, rng: np.random.Generator, radius: np.ndarray, spacing: float, inside: np.ndarray | None = None
    ) -> list[tuple[float, float, float]]:
        """Places ``(x, y, r)`` that cover ``inside`` (the mask if None), thickest parts first.

        Args:
            rng: Source of randomness.
            radius: ``(S, S)``, the radius of what is drawn there, varied by a fifth.
            spacing: Distance of two places as a share of the radius.
            inside: ``(S, S)`` bool.
        """
        rows, columns = np.nonzero(self.mask if inside is None else inside)
        order = np.argsort(-self.depth[rows, columns] + rng.uniform(0, 1.5, len(rows)))
        taken = np.zeros(self.mask.shape, np.uint8)
        places = []
        for k in order:
            x, y = int(columns[k]), int(rows[k])
            if taken[y, x]:
                continue
            r = float(radius[y, x] * rng.uniform(0.8, 1.2))
            cv2.circle(taken, (x, y), max(1, round(spacing * r)), 1, -1)
            places.append((x, y, r))
        return places


def lit(height: np.ndarray) -> np.ndarray:
    """Slope of ``height`` ``(S, S)`` towards the light: positive where a face is lit, negative in shadow."""
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3) / 8
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3) / 8
    return -(dx * LIGHT[0] + dy * LIGHT[1])


def mix(colours: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Colours ``(S, S, 3)`` float32 along the ramp ``colours`` ``(N, 3)`` BGR at ``t`` ``(S, S)`` in 0..1."""
    knots = np.linspace(0, 255, len(colours))
    ramp = np.stack([np.interp(np.arange(256), knots, channel) for channel in np.transpose(colours)], 1)
    steps = np.clip(255 * t, 0, 255).astype(np.uint8)
    return cv2.applyColorMap(steps, ramp.round().astype(np.uint8)[:, None]).astype(np.float32)


def strongest(change: np.ndarray) -> np.ndarray:
    """Largest absolute value of the channels of ``change`` ``(H, W, 3)``, as ``(H, W)``."""
    blue, green, red = cv2.split(np.abs(change))
    return np.maximum(np.maximum(blue, green), red)
