"""Relief: blistering raises round bubbles, a dent presses a smooth bowl into the metal."""

import cv2
import numpy as np

from ..surface import smoothstep
from .canvas import LIGHT, Canvas, grain, lit

#: BGR of a bubble's skin and of its lit rim, attached and broken, and the share of it in the ground's colour.
_SKIN = {False: np.array([66.0, 86, 104]), True: np.array([172.0, 176, 180])}
_RIM = {False: np.array([130.0, 200, 240]), True: np.array([244.0, 248, 250])}
_SHADOW = np.array([16.0, 16, 17])
_GLINT = np.array([250.0, 253, 255])

#: Direction to the light in space, (x, y, towards the camera).
_LIGHT = np.array([LIGHT[0], LIGHT[1], 1.1]) / np.sqrt(2.21)

#: Slope of a bubble's edge; 1 is a half sphere.
_STEEPNESS = 0.8


def blistering(rng: np.random.Generator, canvas: Canvas) -> None:
    """Round bubbles with a glint towards the light, a golden or silver rim and a shadow on the other side."""
    # What was there dulls under the skin that lifts off it.
    canvas.ground += (0.6 if canvas.broken else 0.25) * canvas.defect
    largest = max(3.2, 5 * canvas.scale**0.3)
    radius = np.clip(0.9 * canvas.depth + 0.9, 1.9, largest).astype(np.float32)
    # A closed outline carries one bubble over all of its inside.
    inside = canvas.region & ~canvas.mask & (canvas.depth > 2.5)
    radius = np.where(inside, np.clip(canvas.depth + 0.8, radius, 12), radius)
    for x, y, r in canvas.sites(rng, radius, 1.15, canvas.region):
        place = np.array([x, y]) + rng.uniform(-0.4, 0.4, 2)
        _bubble(canvas, *place, r if inside[y, x] else max(1.8, r * rng.uniform(0.55, 1.1)))


def _bubble(canvas: Canvas, x: float, y: float, r: float) -> None:
    rows, columns = canvas.box(x, y, r + 3)
    gy, gx = np.mgrid[rows, columns].astype(np.float32)
    ground = canvas.ground[rows, columns]
    dx, dy = gx - x, gy - y
    away = np.hypot(dx - 0.9, dy - 1.2)
    shadow = 1 - smoothstep(away, r - 0.6, r + 1.4)
    ground += 0.75 * shadow[..., None] * (_SHADOW - ground)
    distance = np.hypot(dx, dy)
    cover = np.clip(r - distance + 0.5, 0, 1)
    nx, ny = _STEEPNESS * dx / r, _STEEPNESS * dy / r
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0, 1))
    light = np.clip(nx * _LIGHT[0] + ny * _LIGHT[1] + nz * _LIGHT[2], 0, 1)
    skin = _SKIN[canvas.broken] * (0.3 + 0.8 * light**1.6)[..., None]
    towards = (dx * LIGHT[0] + dy * LIGHT[1]) / np.maximum(distance, 1e-3)
    rim = np.exp(-(((distance - r + 0.5) / 0.6) ** 2)) * (0.35 + 0.65 * smoothstep(towards, -0.6, 0.4))
    skin += 0.75 * rim[..., None] * (_RIM[canvas.broken] - skin)
    spot = max(0.65, 0.13 * r)
    at = 0.4 * r
    glint = np.exp(-((dx - at * LIGHT[0]) ** 2 + (dy - at * LIGHT[1]) ** 2) / (2 * spot**2))
    skin += glint[..., None] * (_GLINT - skin)
    ground += cover[..., None] * (skin - ground)


def dent(rng: np.random.Generator, canvas: Canvas) -> None:
    """A smooth depression, dark towards the light and bright on the other side; the defect itself fades."""
    solid = cv2.dilate(canvas.region.astype(np.uint8), np.ones((3, 3), np.uint8))
    # A wide defect gives a wide bowl: each width adds a depression as soft as it is wide.
    height = np.zeros(canvas.mask.shape, np.float32)
    for core, softness in ((solid > 0, 1.6), (canvas.depth > 2.5, 3.8), (canvas.depth > 6, 7.0)):
        height -= softness * cv2.GaussianBlur(core.astype(np.float32), (0, 0), softness)
    wide = cv2.GaussianBlur(smoothstep(canvas.depth, 4, 9), (0, 0), 3.0)
    height += 3.0 * wide * grain(rng, canvas.side, 6.0)
    shade = np.tanh(1.9 * lit(height))
    tone = np.where(shade < 0, np.exp(1.05 * shade), np.exp(0.68 * shade))
    canvas.ground += (0.5 if canvas.broken else 0.65) * canvas.defect
    canvas.ground *= (1 + (tone - 1) * (1 - smoothstep(canvas.near, 1.8, 4)))[..., None]
