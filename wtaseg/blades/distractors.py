"""What is harmless but looks like a defect: highlights, machining marks, dust, stains, warm reflections."""

import cv2
import numpy as np

from .geometry import closed_contour, normals, resample
from .layer import Layer
from .surface import Part, low_frequency


def point_on_metal(rng: np.random.Generator, part: Part, tries: int = 30) -> np.ndarray:
    """A random pixel position on the metal; after ``tries`` misses the last try."""
    size = part.metal.shape[0]
    for _ in range(tries):
        point = rng.uniform(2, size - 2, 2)
        if part.metal[int(point[1]), int(point[0])] > 0.99:
            break
    return point


def pick_stretch(rng: np.random.Generator, lines: list, size: int, length: float) -> np.ndarray | None:
    """A stretch of about ``length`` pixels of one of ``lines`` inside the image, one point a pixel."""
    for k in rng.permutation(len(lines))[:6]:
        path = resample(lines[k], 1.0)
        inside = np.flatnonzero(((path > 3) & (path < size - 3)).all(1))
        if len(inside) < 12:
            continue
        start = rng.choice(inside)
        stretch = path[start : start + round(length)]
        stretch = stretch[((stretch > 0) & (stretch < size)).all(1)]
        if len(stretch) >= 8:
            return stretch
    return None


def stain_surface(rng: np.random.Generator, part: Part) -> None:
    """Changes the face itself, before the optics: marks of tools, warm reflections, stains, pits."""
    _machining_marks(rng, part)
    _warm_reflections(rng, part)
    size, scale = part.metal.shape[0], part.frame.scale
    layer = Layer(size, 0.8)
    for _ in range(rng.poisson(2.5)):
        outline = closed_contour(rng, rng.uniform(1.5, 5) * scale, 0.3, 4, rng.uniform(1, 3))
        layer.area(outline + point_on_metal(rng, part), (52, 52, 52), rng.uniform(0.3, 0.8))
    layer.lay_onto(part.image, part.metal)


def _machining_marks(rng: np.random.Generator, part: Part) -> None:
    """Families of parallel lines or arcs, straight and regular as only a tool makes them."""
    size, scale = part.metal.shape[0], part.frame.scale
    if rng.random() < 0.55:
        # Fine grinding texture in one direction over a part of the face.
        grain = rng.normal(0, 1, (size // 4, size // 2)).astype(np.float32)
        grain = cv2.resize(cv2.blur(grain, (31, 1)), (2 * size, size), interpolation=cv2.INTER_LINEAR)
        turn = cv2.getRotationMatrix2D((float(size), size / 2), rng.uniform(0, 180), 1.6)
        turn[:, 2] += np.array([-size / 2, 0])
        grain = cv2.warpAffine(grain, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
        where = np.clip(low_frequency(rng, size, 3) + rng.uniform(-0.2, 0.5), 0, 1)
        part.image += (rng.uniform(2, 7) * grain * where * part.metal)[..., None]
    for _ in range(rng.poisson(0.9)):
        layer = Layer(size, 0.6)
        centre = point_on_metal(rng, part)
        pitch = rng.uniform(3, 9) * scale
        count = rng.integers(2, 9)
        level = rng.uniform(98, 140)
        colour, opacity = (level, level, level), rng.uniform(0.1, 0.4)
        if rng.random() < 0.5:
            radius, begin = rng.uniform(40, 400) * scale, rng.uniform(0, 2 * np.pi)
            sweep = rng.uniform(50, 220) * scale / radius
            t = np.linspace(begin, begin + sweep, 40)
            unit = np.stack([np.cos(t), np.sin(t)], 1)
            pivot = centre - radius * unit[20]
            for k in range(count):
                layer.line(pivot + (radius + k * pitch) * unit, rng.uniform(0.6, 1.2), colour, opacity)
        else:
            angle, length = rng.uniform(0, np.pi), rng.uniform(40, 260) * scale
            along = np.array([np.cos(angle), np.sin(angle)])
            across = np.array([-along[1], along[0]])
            for k in range(count):
                middle = centre + k * pitch * across + rng.normal(0, 3) * along
                ends = middle + np.array([[-0.5], [0.5]]) * length * along
                layer.line(ends, rng.uniform(0.6, 1.2), colour, opacity)
        layer.lay_onto(part.image, part.metal)


def _warm_reflections(rng: np.random.Generator, part: Part) -> None:
    """Golden light from outside, smooth, on walls and along rims; the hue of attached particles."""
    size, scale = part.metal.shape[0], part.frame.scale
    for _ in range(rng.poisson(1.1)):
        layer = Layer(size, 1.0)
        lines = part.walls + part.rims
        stretch = pick_stretch(rng, lines, size, rng.uniform(30, 150) * scale) if lines else None
        golden = np.array([80, 128, 158]) * rng.uniform(0.8, 1.15)
        if stretch is None or rng.random() < 0.35:
            outline = closed_contour(rng, rng.uniform(14, 60) * scale, 0.15, 3, rng.uniform(1, 4))
            layer.area(outline + point_on_metal(rng, part), golden, rng.uniform(0.08, 0.3))
            layer.softness = rng.uniform(5, 16) * scale
        else:
            path = stretch + rng.uniform(-7, 7) * scale * normals(stretch)
            _faded_line(layer, path, rng.uniform(2, 8) * scale, golden, rng.uniform(0.4, 0.85))
            layer.softness = rng.uniform(2.2, 5) * scale
        layer.lay_onto(part.image, part.metal)


def scatter_dust(rng: np.random.Generator, part: Part, image: np.ndarray) -> None:
    """Draws what lies on top, after the optics, onto ``image``: neutral dust, and glints on rims."""
    size, scale = part.metal.shape[0], part.frame.scale
    layer = Layer(size, rng.uniform(0.45, 0.8))
    amount = rng.choice([0.0, 8.0, 25.0, 70.0], p=[0.15, 0.4, 0.3, 0.15]) * (size / 512) ** 2
    for _ in range(rng.poisson(amount)):
        level = rng.uniform(115, 200)
        point = rng.uniform(0, size, 2)
        layer.dot(point, rng.uniform(0.45, 1.1) * scale**0.3, (level, level, level), rng.uniform(0.3, 0.85))
    for _ in range(rng.poisson(0.25)):
        layer.area(
            closed_contour(rng, rng.uniform(2, 4.5), 0.25, 4) + point_on_metal(rng, part),
            np.full(3, rng.uniform(120, 170)),
            rng.uniform(0.3, 0.6),
        )
    lines = part.rims * 3 + part.walls
    for _ in range(rng.poisson(1.4)):
        stretch = pick_stretch(rng, lines, size, rng.uniform(8, 60) * scale)
        if stretch is None:
            continue
        # A glint follows the edge exactly and fades towards both ends.
        stretch = stretch + rng.uniform(-2.5, 2.5) * normals(stretch)
        level, bright, width = rng.uniform(190, 255), rng.uniform(0.4, 0.95), rng.uniform(0.8, 2.2)
        _faded_line(layer, stretch, width, (level,) * 3, bright)
    layer.lay_onto(image, part.metal)


def _faded_line(layer: Layer, path: np.ndarray, width: float, colour, opacity: float) -> None:
    """A line that thins and fades towards both ends."""
    pieces = 12
    for k, piece in enumerate(np.array_split(np.arange(len(path)), pieces)):
        fade = np.sin(np.pi * (k + 0.6) / (pieces + 0.2))
        if len(piece):
            layer.line(path[piece[0] : piece[-1] + 2], max(0.5, width * fade), colour, opacity * fade)
