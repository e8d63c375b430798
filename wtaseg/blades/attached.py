"""Attached particles: golden speckles, single, in clusters, as dense fields and as closed rings."""

import numpy as np

from .distractors import pick_stretch, point_on_metal
from .geometry import closed_contour, meander, normals, smooth_noise
from .layer import Layer
from .surface import Part, low_frequency

#: BGR of particles that catch the light differently: gold, pale gold, brown, rose, nearly silver.
_HUES = np.array([[84, 146, 196], [150, 205, 228], [72, 106, 134], [140, 150, 190], [165, 180, 190]], float)
_HUE_ODDS = np.array([0.5, 0.2, 0.17, 0.07, 0.06])


def _gold(rng: np.random.Generator, n: int) -> np.ndarray:
    hue = _HUES[rng.choice(len(_HUES), n, p=_HUE_ODDS)]
    return np.clip(hue * rng.uniform(0.85, 1.12, (n, 1)) + rng.normal(0, 5, (n, 3)), 0, 255)


def _speckles(
    rng, layer: Layer, places: np.ndarray, scale: float, small: float, pixels: int, dim: float
) -> None:
    """Draws particles at ``places`` until they cover about ``pixels``."""
    n = len(places)
    radius = np.clip(small * np.exp(rng.normal(0, 0.32, n)), 0.6, 3.2) * scale**0.35
    opacity = np.clip(rng.normal(dim, 0.16, n), 0.38, 0.98)
    # A pixel counts from a third of its area on, so a particle takes a little more than its disc.
    enough = max(1, np.searchsorted(np.cumsum(np.pi * (radius + 0.25) ** 2), pixels))
    for place, r, colour, a in zip(places[:enough], radius, _gold(rng, n), opacity):
        if rng.random() < 0.3:
            # Swarf: a short curl instead of a grain.
            path = meander(rng, place, rng.uniform(0, 2 * np.pi), 3.2 * r, max(1.0, 0.8 * r))
            layer.line(path, 1.1 * r, colour, a)
        else:
            layer.dot(place, r, colour, a)


def _on_metal(part: Part, places: np.ndarray) -> np.ndarray:
    size = part.metal.shape[0]
    places = places[((places >= 0) & (places < size - 0.5)).all(1)]
    x, y = places.astype(int).T
    return places[part.metal[y, x] > 0.9]


def sprinkle(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """Single particles, loosely around a place or all over the metal."""
    size = part.metal.shape[0]
    n = max(1, min(60, pixels // 4))
    if rng.random() < 0.5:
        places = rng.uniform(0, size, (3 * n, 2))
    else:
        places = point_on_metal(rng, part) + rng.normal(0, rng.uniform(0.04, 0.13) * size, (3 * n, 2))
    places = _on_metal(part, places)[:n]
    _speckles(rng, layer, places, part.frame.scale, rng.uniform(0.8, 1.5), pixels, rng.uniform(0.6, 0.9))


def cluster(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """Particles that gathered: at the foot of a pocket's wall, along a step, or on a heap."""
    size, scale = part.metal.shape[0], part.frame.scale
    pixels = min(pixels, round(rng.uniform(60, 420) * scale))
    stretch = None
    kind = rng.random()
    if kind < 0.75:
        lines = part.floors if part.floors and kind < 0.55 else part.walls
        stretch = pick_stretch(rng, lines, size, rng.uniform(0.12, 0.35) * pixels + 12)
    n = 4 + pixels // 3
    if stretch is None:
        spread = np.array([1.0, rng.uniform(0.35, 1)]) * np.sqrt(pixels) * rng.uniform(0.3, 0.7)
        turn = rng.uniform(0, np.pi)
        c, s = np.cos(turn), np.sin(turn)
        places = point_on_metal(rng, part) + (rng.normal(0, 1, (n, 2)) * spread) @ np.array([[c, s], [-s, c]])
    else:
        weight = np.clip(1 + smooth_noise(rng, len(stretch), 4), 0.05, None)
        weight *= np.sin(np.linspace(0.15, np.pi - 0.15, len(stretch)))
        at = rng.choice(len(stretch), n, p=weight / weight.sum())
        away = rng.standard_t(3, n) * rng.uniform(1.8, 4.5) * scale**0.7
        places = stretch[at] + away[:, None] * normals(stretch)[at] + rng.normal(0, 0.8, (n, 2))
    size_of_grain = rng.uniform(0.75, 1.15)
    _speckles(rng, layer, _on_metal(part, places), scale, size_of_grain, pixels, rng.uniform(0.55, 0.85))


def dense_field(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """A face covered with fine particles, thinning out towards its border, with a few filaments."""
    size, scale = part.metal.shape[0], part.frame.scale
    pixels = min(pixels, round(rng.uniform(1500, 4000)))
    reach = np.sqrt(pixels / rng.uniform(0.12, 0.36) / np.pi)
    centre = point_on_metal(rng, part)
    stretch = pick_stretch(rng, part.walls + part.floors, size, 1.6 * reach)
    if stretch is not None and rng.random() < 0.6:
        centre = stretch[len(stretch) // 2]
    turn, aspect = rng.uniform(0, np.pi), rng.uniform(1.0, 2.6)
    c, s = np.cos(turn), np.sin(turn)
    n = 2 * pixels
    distance = np.sqrt(rng.random(n)) * np.exp(rng.normal(0, 0.15, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    disc = distance[:, None] * np.stack([np.cos(angle) * aspect**0.5, np.sin(angle) / aspect**0.5], 1)
    places = _on_metal(part, centre + reach * disc @ np.array([[c, s], [-s, c]]))
    # Particles collect in patches: keep them where a noise field is high.
    patches = low_frequency(rng, size, rng.integers(10, 26)) + low_frequency(rng, size, 6)
    x, y = places.astype(int).T
    places = places[patches[y, x] > rng.normal(-0.1, 0.35, len(places))]
    for _ in range(rng.integers(0, 5)):
        start = centre + rng.normal(0, 0.35 * reach, 2)
        path = meander(rng, start, turn + np.pi / 2 + rng.normal(0, 0.4), rng.uniform(0.3, 0.9) * reach)
        path = _on_metal(part, path)
        if len(path) > 2:
            layer.line(path, rng.uniform(0.9, 2.0), _gold(rng, 1)[0], rng.uniform(0.4, 0.75))
    _speckles(rng, layer, places, scale, rng.uniform(0.68, 0.95), pixels, rng.uniform(0.42, 0.62))


def ring(rng: np.random.Generator, part: Part, layer: Layer, pixels: int) -> None:
    """A particle's closed outline: pale gold, uneven in width and brightness, slightly pointed."""
    scale = part.frame.scale
    width = rng.uniform(1.6, 3.2) * scale**0.5
    radius = float(np.clip(pixels / (width + 0.9) / (2 * np.pi), 3.5, rng.uniform(12, 30) * scale))
    outline = closed_contour(rng, radius, rng.uniform(0.1, 0.2), 7, rng.uniform(1.0, 2.0))
    # One end is drawn out, as where a drop dried last.
    outline *= 1 + rng.uniform(0, 0.35) * np.exp(-((np.arange(len(outline)) - 36) ** 2) / 60)[:, None]
    centre = point_on_metal(rng, part)
    if part.walls and rng.random() < 0.5:
        stretch = pick_stretch(rng, part.walls, part.metal.shape[0], 12)
        centre = centre if stretch is None else stretch[0]
    outline = outline + centre
    n = len(outline)
    bright = np.clip(0.66 + 0.24 * smooth_noise(rng, n, 6), 0.36, 0.97)
    thick = width * np.clip(1 + 0.32 * smooth_noise(rng, n, 7), 0.55, 1.8)
    mix = np.clip(0.5 + 0.4 * smooth_noise(rng, n, 2), 0, 1)[:, None]
    first, second = _HUES[rng.choice([0, 1])], _HUES[rng.choice([1, 3, 4])]
    colours = mix * first + (1 - mix) * second
    layer.line(outline, 0.7 * width, colours[0], float(bright.min()), closed=True)
    for k in range(n):
        piece = outline[[k, (k + 1) % n]]
        layer.line(piece, float(thick[k]), colours[k], float(bright[k]))
    for k in rng.choice(n, rng.integers(0, 8)):
        grain = outline[k] + rng.normal(0, 0.8, 2)
        layer.dot(grain, rng.uniform(0.7, 1.3) * scale**0.35, _gold(rng, 1)[0], rng.uniform(0.6, 0.95))
