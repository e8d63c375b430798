"""Curves and outlines of machined parts and of defects, as float arrays of points ``(N, 2)`` in (x, y)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """Where the camera looks: part coordinates to pixels.

    In part coordinates the long edge of the blade is the line y = 0 and the metal lies at y > 0; at
    ``scale`` 1 a unit is a pixel of a 512 pixel image.
    """

    angle: float
    scale: float
    origin: tuple[float, float]

    @property
    def rotation(self) -> np.ndarray:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, s], [-s, c]])

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Part coordinates ``(N, 2)`` to pixels ``(N, 2)``."""
        return self.scale * np.asarray(points, float) @ self.rotation + self.origin

    def to_part(self, points: np.ndarray) -> np.ndarray:
        """Pixels ``(N, 2)`` to part coordinates ``(N, 2)``."""
        return (np.asarray(points, float) - self.origin) @ self.rotation.T / self.scale

    def direction(self, vector: tuple[float, float]) -> np.ndarray:
        """A direction on the part as a direction in the image."""
        return np.asarray(vector, float) @ self.rotation


def smooth_noise(rng: np.random.Generator, n: int, waves: int) -> np.ndarray:
    """Periodic noise ``(n,)`` of about unit deviation, with ``waves`` harmonics of falling strength."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    k = np.arange(1, waves + 1)[:, None]
    strength = rng.normal(size=(waves, 1)) / np.sqrt(k)
    phase = rng.uniform(0, 2 * np.pi, (waves, 1))
    return (strength * np.sin(k * t + phase)).sum(0) / np.sqrt((1 / k).sum())


def closed_contour(
    rng: np.random.Generator, radius: float, roughness: float, waves: int, aspect: float = 1.0, n: int = 72
) -> np.ndarray:
    """A closed outline around (0, 0) whose radius varies by the share ``roughness``."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    r = radius * np.clip(1 + roughness * smooth_noise(rng, n, waves), 0.3, 2.0)
    turn = rng.uniform(0, np.pi)
    x, y = r * np.cos(t) * np.sqrt(aspect), r * np.sin(t) / np.sqrt(aspect)
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1)


def rounded(points: np.ndarray, cut: float = 0.18, rounds: int = 2) -> np.ndarray:
    """A closed polygon with its corners cut (Chaikin), ``cut`` being the share of each side taken off."""
    for _ in range(rounds):
        after = np.roll(points, -1, axis=0)
        points = np.stack([(1 - cut) * points + cut * after, cut * points + (1 - cut) * after], 1)
        points = points.reshape(-1, 2)
        cut = 0.25
    return points


def gear(rng: np.random.Generator, inner: float, outer: float, teeth: int) -> np.ndarray:
    """A closed outline with straight, slanted steps between two radii, as milled around a bore."""
    widths = rng.uniform(0.6, 1.4, 2 * teeth)
    edges = np.concatenate([[0], np.cumsum(widths)[:-1]]) / widths.sum() * 2 * np.pi + rng.uniform(
        0, 2 * np.pi
    )
    spans = widths / widths.sum() * 2 * np.pi
    points = []
    for i, (start, span) in enumerate(zip(edges, spans)):
        r = (outer if i % 2 else inner) * rng.uniform(0.93, 1.07)
        slope = min(0.12, 0.25 * span)
        for a in (start + slope, start + span - slope):
            points.append((r * np.cos(a), r * np.sin(a)))
    return rounded(np.array(points), 0.08)


def slot(length: float, width: float, angle: float, n: int = 12) -> np.ndarray:
    """A rectangle with round ends around (0, 0)."""
    t = np.linspace(-np.pi / 2, np.pi / 2, n)
    cap = np.stack([np.cos(t), np.sin(t)], 1) * width / 2
    right = cap + np.array([(length - width) / 2, 0])
    points = np.concatenate([right, -right])
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def arch(rng: np.random.Generator, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """A pocket on the edge of the blade: flat towards the edge, arched away from it.

    Returns its outline and, of that, the arched part, from end to end.
    """
    t = np.linspace(0, np.pi, 40)
    lean = rng.uniform(-0.35, 0.35)
    power = rng.uniform(0.5, 0.85)
    x = -np.cos(t) * width / 2
    y = height * np.sin(t) ** power * (1 + lean * np.cos(t))
    top = np.stack([x, y], 1)
    return top, top[3:-3]


def meander(
    rng: np.random.Generator, start: np.ndarray, heading: float, length: float, step: float = 3.0
) -> np.ndarray:
    """A crack's path: straight stretches, small jitter everywhere and now and then a sharp turn."""
    n = max(2, round(length / step))
    turns = rng.normal(0, 0.13, n)
    sharp = rng.random(n) < 0.045
    turns[sharp] += rng.choice([-1, 1], sharp.sum()) * rng.uniform(0.5, 1.3, sharp.sum())
    bend = rng.normal(0, 0.015)
    angle = heading + np.cumsum(turns + bend)
    steps = step * np.stack([np.cos(angle), np.sin(angle)], 1)
    path = np.concatenate([[start], start + np.cumsum(steps, axis=0)])
    return path + rng.normal(0, 0.35, path.shape)


def resample(path: np.ndarray, step: float) -> np.ndarray:
    """Points at equal distance ``step`` along an open path."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.arange(0, lengths[-1] + 1e-6, step)
    return np.stack([np.interp(at, lengths, path[:, k]) for k in range(2)], 1)


def normals(path: np.ndarray) -> np.ndarray:
    """Unit normals ``(N, 2)`` along a path."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    return np.stack([-tangent[:, 1], tangent[:, 0]], 1)


def block(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A rectangle around (0, 0) with bevelled corners and a slanted notch in one or two of its sides."""
    bevel = rng.uniform(0.15, 0.4) * min(width, height)
    x, y = width / 2, height / 2
    corners = [(-x + bevel, -y), (x - bevel, -y), (x, -y + bevel), (x, y - bevel)]
    corners += [(x - bevel, y), (-x + bevel, y), (-x, y - bevel), (-x, -y + bevel)]
    points = [np.array(corners[:1], float)]
    notches = rng.choice([0, 4], rng.integers(1, 3), replace=False)
    for i in range(8):
        a, b = np.array(corners[i], float), np.array(corners[(i + 1) % 8], float)
        if i in notches:
            along, inward = b - a, -np.array([a[0] + b[0], a[1] + b[1]])
            inward = inward / np.linalg.norm(inward) * rng.uniform(0.2, 0.4) * height
            at = np.sort(rng.uniform(0.12, 0.88, 2)) + np.array([-0.08, 0.08])
            slant = 0.1
            points.append(
                np.array(
                    [
                        a + at[0] * along,
                        a + (at[0] + slant) * along + inward,
                        a + (at[1] - slant) * along + inward,
                        a + at[1] * along,
                    ]
                )
                if at[1] - at[0] > 3 * slant
                else np.empty((0, 2))
            )
        points.append(b[None])
    return rounded(np.concatenate(points)[:-1], 0.07)
