"""What happens to a coating: peeling lifts flakes off, a scratch scores it with parallel lines."""

import cv2
import numpy as np

from ..geometry import closed_contour
from ..layer import Layer
from ..surface import fill, smoothstep
from .canvas import LIGHT, Canvas, grain, lit, mix

_BARE = {
    False: np.array([[40.0, 56, 70], [58, 82, 102], [92, 124, 150]]),
    True: np.array([[122.0, 126, 128], [166, 172, 174], [206, 212, 214]]),
}
_EDGE = {False: np.array([186.0, 226, 244]), True: np.array([250.0, 252, 252])}
_SHADOW = np.array([10.0, 10, 11])
_BRIGHT = {False: np.array([112.0, 184, 234]), True: np.array([242.0, 247, 250])}
_DARK = np.array([18.0, 18, 20])


def peeling(rng: np.random.Generator, canvas: Canvas) -> None:
    """The coat is off in angular patches with a stepped border; flakes of it curl up beside them."""
    side = canvas.side
    coat = cv2.GaussianBlur(canvas.ground, (0, 0), 3.0)
    bare = np.zeros((side, side), np.uint8)
    radius = np.clip(0.75 * canvas.depth + 1.0, 1.75, max(4.0, 5.5 * canvas.scale**0.3)).astype(np.float32)
    inside = canvas.region & ~canvas.mask & (canvas.depth > 2.5)
    radius = np.where(inside, np.maximum(radius, canvas.depth), radius)
    for x, y, r in canvas.sites(rng, radius, 1.0, canvas.region):
        outline = closed_contour(rng, r, 0.25, 4, rng.uniform(1, 2), int(rng.integers(5, 8)))
        fill(bare, outline + np.array([x, y]))
    bare = bare.astype(np.float32) / 255
    # Islands of coat are left in wide patches.
    bare *= 1 - smoothstep(grain(rng, side, 2.6), 0.75, 0.95) * smoothstep(canvas.depth, 3.0, 4.5)
    medium, fine = grain(rng, side, 1.8), grain(rng, side, 0.8)
    canvas.blend(mix(_BARE[canvas.broken], 0.45 + 0.16 * medium + 0.12 * fine), 0.92 * bare)
    canvas.ground += (0.3 if canvas.broken else 0.6) * bare[..., None] * np.clip(canvas.defect, -40, 60)
    # The coat around stands higher: it throws a shadow into the patch, and its far border is lit.
    moved = cv2.warpAffine(bare, np.float32([[1, 0, 1.1], [0, 1, 1.5]]), (side, side))
    canvas.blend(_SHADOW, 0.88 * np.clip(bare - moved, 0, 1))
    border = np.clip(4.5 * lit(1 - cv2.GaussianBlur(bare, (0, 0), 0.5)) - 0.4, 0, 1)
    canvas.blend(_EDGE[canvas.broken], 0.9 * border)
    _flakes(rng, canvas, coat, canvas.sites(rng, 0.8 * radius + 0.4, 3.0))


def _flakes(rng: np.random.Generator, canvas: Canvas, coat: np.ndarray, places: list) -> None:
    """Pieces of the coat, folded: the half towards the light is lifted and bright, the other half dull."""
    shadows, flakes = Layer(canvas.side, 0.6), Layer(canvas.side, 0.35)
    for x, y, r in places:
        level = np.clip(coat[y, x], 50, 120)
        r = min(r, 4.5) * rng.uniform(0.9, 1.35)
        corners = int(rng.integers(4, 7))
        outline = closed_contour(rng, r, 0.25, 4, rng.uniform(1.3, 2.6), corners)
        place = np.array([x, y]) + rng.normal(0, 0.25, 2) * r
        shadows.area(outline + place + 1.1 + 0.15 * r, _SHADOW, 0.9)
        flakes.area(outline + place, level * rng.uniform(0.75, 0.95), 0.97)
        closed = np.vstack([outline, outline[:1]])
        along = np.linspace(0, corners, 4 * corners + 1)
        dense = np.stack([np.interp(along, np.arange(corners + 1), closed[:, k]) for k in (0, 1)], 1)
        lifted = dense[dense @ LIGHT > -0.1 * r]
        if len(lifted) > 2:
            flakes.area(lifted + place, level * rng.uniform(1.25, 1.6), 0.97)
        ends = set(np.argsort(outline @ LIGHT)[-max(2, corners // 2) :])
        for k in ends:
            if (k + 1) % corners in ends:
                flakes.line(outline[[k, (k + 1) % corners]] + place, 0.8, _EDGE[canvas.broken], 0.95)
    canvas.lay(shadows)
    canvas.lay(flakes)


def scratch(rng: np.random.Generator, canvas: Canvas) -> None:
    """Bundles of thin parallel lines, each bright with a dark furrow beside it."""
    if canvas.broken:
        # A silver region stays and is scored; of a thin crack only the lines stay.
        thick = cv2.dilate((canvas.depth > 2.8).astype(np.float32), np.ones((9, 9), np.uint8))
        thick = cv2.GaussianBlur(thick, (0, 0), 1.5)
        canvas.ground += 0.9 * thick[..., None] * canvas.defect
    angles = _orientation(rng, canvas)
    radius = np.clip(0.9 * canvas.depth + 2.6, 3.3, max(6.0, 10 * canvas.scale**0.3)).astype(np.float32)
    dark, bright = Layer(canvas.side, 0.35), Layer(canvas.side, 0.35)
    for x, y, r in canvas.sites(rng, radius, 1.0):
        silver = canvas.broken and canvas.depth[y, x] > 2.5
        angle = angles[y, x] + rng.normal(0, 0.04)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        across = across if across @ LIGHT < 0 else -across
        pitch = rng.uniform(2.1, 2.9)
        for k in (-1, 0, 1):
            if k and rng.random() < (0.55 if silver else 0.3):
                continue
            half = r * rng.uniform(0.6, 1.2) * (1.3 if silver else 1)
            shift = (k * pitch + rng.normal(0, 0.2)) * across + rng.normal(0, 0.3) * r * along
            ends = np.array([x, y]) + shift + np.array([[-half], [half]]) * along
            colour = _BRIGHT[canvas.broken] * rng.uniform(0.75, 1.04)
            _stroke(dark, ends + 0.95 * across, 0.85, _DARK, 0.6 if silver else 0.8)
            _stroke(bright, ends, rng.uniform(0.55, 0.85), colour, rng.uniform(0.7, 0.97))
    canvas.lay(dark)
    canvas.lay(bright)


def _stroke(layer: Layer, ends: np.ndarray, width: float, colour: np.ndarray, opacity: float) -> None:
    """A straight line that thins and fades towards both ends."""
    layer.line(ends, 0.6 * width, colour, 0.55 * opacity)
    middle = ends.mean(0)
    layer.line(middle + 0.65 * (ends - middle), width, colour, opacity)


def _orientation(rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """Angle ``(S, S)`` of the scratches: along a crack, elsewhere one angle for the window."""
    main = rng.uniform(0, np.pi)
    if not canvas.broken:
        return np.full(canvas.mask.shape, main)
    soft = cv2.GaussianBlur(canvas.mask.astype(np.float32), (0, 0), 2.0)
    dx, dy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), 7.0) for p in (dx * dx, dy * dy, dx * dy))
    spread = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-6)
    thick = cv2.dilate(canvas.depth, np.ones((15, 15), np.uint8)) > 3.5
    tangent = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    return np.where((spread > 0.4) & ~thick, tangent, main)
