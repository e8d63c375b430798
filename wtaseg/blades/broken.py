"""Broken metal: thin silver cracks, chips on rims and silver-white regions where a piece is missing."""

import cv2
import numpy as np

from .distractors import pick_stretch, point_on_metal
from .geometry import closed_contour, meander, normals, smooth_noise
from .layer import Layer
from .surface import Part

#: BGR of a fresh break relative to its brightness: a trace of rose in the white.
_SILVER = np.array([0.955, 0.98, 1.0])


def _draw_crack(rng, layer: Layer, path: np.ndarray, strength: float, width: float) -> None:
    """A line of varying brightness and width, interrupted where it is faintest."""
    n = len(path)
    opacity = strength * (1 + 0.75 * smooth_noise(rng, 2 * n, max(3, n // 3))[:n])
    level = rng.uniform(150, 200)
    floor = rng.uniform(0.22, 0.32)
    for k in range(n - 1):
        if opacity[k] < floor:
            continue
        colour = _SILVER * level * rng.uniform(0.92, 1.08)
        layer.line(path[k : k + 2], width * rng.uniform(0.8, 1.25), colour, float(min(opacity[k], 0.95)))
        if rng.random() < 0.03:
            layer.dot(path[k], rng.uniform(0.8, 1.2) * width, np.minimum(1.15 * colour, 255), 0.85)


def crack(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """A thin, interrupted line, free over the face or along a step, with branches."""
    size, scale = part.metal.shape[0], part.frame.scale
    width = max(0.75, rng.uniform(0.7, 1.35) * scale**0.25)
    # A pixel counts from a third of its area on; what interruptions take, branches add.
    length = min(pixels / (width + 0.8) / 0.92, rng.uniform(60, 260) * scale)
    along = pick_stretch(rng, part.walls + part.floors, size, length) if rng.random() < 0.5 else None
    if along is not None and len(along) > 15:
        along = along[:: 3 if len(along) > 40 else 2]
        n = len(along)
        away = rng.uniform(-6, 6) * scale + 2.2 * smooth_noise(rng, 2 * n, 6)[:n] + rng.normal(0, 0.4, n)
        path = along + away[:, None] * normals(along)
    else:
        start = point_on_metal(rng, part)
        if part.rims and rng.random() < 0.35:
            rim = pick_stretch(rng, part.rims, size, 10)
            start = start if rim is None else rim[0]
        path = meander(rng, start, _towards_metal(rng, part, start), length)
    strength = rng.uniform(0.36, 0.85)
    _draw_crack(rng, layer, path, strength, width)
    if len(path) > 12 and rng.random() < 0.45:
        k = rng.integers(3, len(path) - 4)
        heading = np.arctan2(*(path[k + 2] - path[k])[::-1]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
        branch = meander(rng, path[k], heading, rng.uniform(0.1, 0.35) * length)
        _draw_crack(rng, layer, branch, 0.85 * strength, 0.85 * width)


def _towards_metal(rng: np.random.Generator, part: Part, start: np.ndarray) -> float:
    """Of some random directions the one that stays longest on the metal."""
    size = part.metal.shape[0]
    angles = rng.uniform(0, 2 * np.pi, 5)
    reach = np.linspace(4, 0.22 * size, 12)

    def metal_along(angle: float) -> float:
        points = start + reach[:, None] * [np.cos(angle), np.sin(angle)]
        points = points[((points >= 0) & (points < size - 0.5)).all(1)].astype(int)
        return float(part.metal[points[:, 1], points[:, 0]].sum())

    return float(max(angles, key=metal_along))


def chips(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """Crumbs broken out of a rim or a step: small, angular, in a short row."""
    size, scale = part.metal.shape[0], part.frame.scale
    stretch = pick_stretch(rng, part.rims + part.walls, size, rng.uniform(15, 60) * scale)
    if stretch is None:
        stretch = point_on_metal(rng, part) + rng.normal(0, 6, (8, 2))
    drawn = 0.0
    for _ in range(12):
        if drawn >= pixels:
            break
        radius = min(rng.uniform(0.9, 2.2) * scale**0.4, max(0.9, np.sqrt((pixels - drawn) / np.pi)))
        place = stretch[rng.integers(len(stretch))] + rng.normal(0, 2.2, 2) * scale**0.5
        x, y = np.clip(place.astype(int), 0, size - 1)
        if part.metal[y, x] < 0.5:
            continue
        outline = closed_contour(rng, radius, 0.3, 5, rng.uniform(1, 2.6), 14)
        colour = np.minimum(_SILVER * rng.uniform(150, 225), 255)
        layer.area(outline + place, colour, rng.uniform(0.55, 0.95))
        drawn += np.pi * (radius + 0.2) ** 2


def region(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """A silver-white region with lobes, beside a rim where there is one in view."""
    size, scale = part.metal.shape[0], part.frame.scale
    pixels = max(60, round(pixels * rng.uniform(0.75, 0.97)))
    radius = np.sqrt(pixels / np.pi)
    centre = point_on_metal(rng, part)
    if part.rims and rng.random() < 0.75:
        rim = pick_stretch(rng, part.rims, size, 10)
        centre = centre if rim is None else rim[0] + rng.normal(0, 0.35 * radius, 2)
    outline = _lobes(rng, 1.0)
    metal = (part.metal > 0.5).astype(np.uint8)
    # The rim cuts the region off, so its size is found by measuring what stays on the metal.
    for _ in range(4):
        mask = np.zeros((size, size), np.uint8)
        cv2.fillPoly(mask, [np.round(outline * radius + centre).astype(np.int32)], 1)
        area = max(1, int((mask & metal).sum()))
        radius *= float(np.clip(np.sqrt(pixels / area), 0.6, 1.4))
    outline = outline * radius + centre
    level = rng.uniform(185, 228)
    opacity = rng.uniform(0.82, 0.98)
    layer.area(outline, _SILVER * level, opacity)
    _texture(rng, layer, outline, centre, radius, level, opacity)
    # Cracks run out of some regions.
    for _ in range(rng.choice([0, 0, 1, 2])):
        start = outline[rng.integers(len(outline))]
        heading = np.arctan2(*(start - centre)[::-1]) + rng.normal(0, 0.4)
        _draw_crack(rng, layer, meander(rng, start, heading, 0.8 * radius), 0.55, scale**0.25)


def _lobes(rng: np.random.Generator, radius: float) -> np.ndarray:
    """A blobby outline around (0, 0): the union of a core with a few round lobes."""
    grid = 192
    unit = grid / 5
    mask = np.zeros((grid, grid), np.uint8)
    middle = np.array([grid / 2, grid / 2])
    core = closed_contour(rng, 0.72 * unit, 0.14, 5, rng.uniform(1.0, 1.8))
    cv2.fillPoly(mask, [np.round(core + middle).astype(np.int32)], 255)
    for angle in rng.uniform(0, 2 * np.pi, rng.integers(3, 8)):
        place = middle + rng.uniform(0.45, 0.95) * unit * np.array([np.cos(angle), np.sin(angle)])
        lobe = closed_contour(rng, rng.uniform(0.2, 0.46) * unit, 0.1, 3, rng.uniform(1, 1.8))
        cv2.fillPoly(mask, [np.round(lobe + place).astype(np.int32)], 255)
    mask = cv2.threshold(cv2.GaussianBlur(mask, (0, 0), 2.2), 127, 255, cv2.THRESH_BINARY)[1]
    contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outline = max(contours, key=cv2.contourArea)[:, 0].astype(float)
    return (outline - middle) / unit * radius


def _texture(rng, layer: Layer, outline, centre, radius: float, level: float, opacity: float) -> None:
    """Grain of the break: slightly darker and lighter patches inside the region."""
    inside = outline.astype(np.float32)[:, None]
    for _ in range(round(min(60, 0.12 * radius**2))):
        place = centre + rng.normal(0, 0.6 * radius, 2)
        spot = rng.uniform(0.8, 2.4)
        if cv2.pointPolygonTest(inside, tuple(map(float, place)), True) > spot + 0.5:
            layer.dot(place, spot, np.minimum(_SILVER * level * rng.uniform(0.93, 1.05), 255), opacity)
