"""Stains: rust and corrosion, textures that eat into the metal around a defect."""

import cv2
import numpy as np

from ..surface import smoothstep
from .canvas import Canvas, grain, lit, mix, strongest

#: BGR ramps from dark to bright.
_RUST = np.array([[16, 28, 56], [22, 50, 110], [30, 84, 182], [62, 138, 234]], float)
_RUST_ON_SILVER = np.array([[40, 78, 150], [84, 138, 208], [128, 178, 230], [190, 212, 232]], float)
_CRUST = np.array([[26, 30, 30], [50, 62, 60], [82, 100, 92], [128, 148, 134]], float)
_CRUST_ON_SILVER = np.array([[70, 82, 78], [112, 128, 118], [150, 166, 154], [196, 204, 198]], float)

_PIT = np.array([14.0, 15, 15])
_DEPOSIT = np.array([150.0, 174, 158])
_GOLD = np.array([84.0, 156, 208])
_SILVER = np.array([214.0, 220, 222])


def rust(rng: np.random.Generator, canvas: Canvas) -> None:
    """Orange-brown and granular with a ragged halo; a broken core is a paler orange with silver left in it."""
    side = canvas.side
    fine, medium, coarse = grain(rng, side, 0.7), grain(rng, side, 1.6), grain(rng, side, 5.0)
    strength = np.clip(strongest(canvas.defect) / 75, 0, 1)
    distance = canvas.near + 0.8 * medium + 0.4 * fine
    halo = 1 - smoothstep(distance, 0.5, 2.9)
    core = 1 - smoothstep(canvas.near, 0.2, 1.4)
    tone = 0.22 + 0.22 * core + 0.13 * medium + 0.15 * fine + 0.06 * coarse
    opacity = halo * np.clip(0.62 + 0.3 * core + 0.2 * fine + 0.08 * coarse, 0.15, 0.97)
    canvas.blend(mix(_RUST, tone), opacity)
    if canvas.broken:
        pale = core * np.clip(0.72 + 0.2 * coarse + 0.2 * medium, 0.2, 0.95)
        canvas.blend(mix(_RUST_ON_SILVER, 0.55 + 0.16 * medium + 0.2 * fine), pale)
        canvas.blend(_SILVER, 0.7 * strength * smoothstep(medium + 0.5 * fine, 0.9, 1.5))
    else:
        canvas.blend(mix(_RUST, 0.74 + 0.2 * fine), strength * np.clip(0.8 + 0.25 * medium, 0.2, 0.95))


def corrosion(rng: np.random.Generator, canvas: Canvas) -> None:
    """A rough crust between brown-grey and green, eaten by dark pits; gold or silver shows through."""
    side = canvas.side
    fine, medium, coarse = grain(rng, side, 0.8), grain(rng, side, 1.4), grain(rng, side, 4.5)
    strength = np.clip(strongest(canvas.defect) / 75, 0, 1)
    distance = canvas.near + 0.7 * medium + 0.4 * coarse
    body = 1 - smoothstep(distance, 1.2, 2.5)
    core = 1 - smoothstep(canvas.near, 0.2, 1.6)
    tone = 0.38 + 0.12 * medium + 0.1 * fine + 0.15 * coarse
    canvas.blend(mix(_CRUST, tone), np.clip(body * (0.75 + 0.25 * core), 0, 0.95))
    if canvas.broken:
        canvas.blend(mix(_CRUST_ON_SILVER, tone + 0.1), 0.92 * core)
    rim = np.exp(-(((distance - 1.8) / 0.55) ** 2)) * smoothstep(coarse + 0.6 * fine, -0.2, 0.8)
    canvas.blend(_DEPOSIT, 0.6 * rim)
    accent = strength * smoothstep(fine + 0.7 * medium, 0.4, 1.1)
    canvas.blend(_SILVER if canvas.broken else _GOLD, 0.85 * accent)
    # Pits: where the roughness is lowest, with their lit wall on the side away from the light.
    rough = grain(rng, side, 1.15) + 0.35 * grain(rng, side, 2.6)
    pits = smoothstep(rough, 0.75, 1.25) * (1 - smoothstep(canvas.near, 0.8, 2.2))
    # A speck has room for little else than a pit; of a crack some silver has to stay.
    speck = 1 - smoothstep(cv2.dilate(canvas.depth, np.ones((7, 7), np.uint8)), 1.2, 2.2)
    share = 0.25 if canvas.broken else 0.85
    pits = np.maximum(pits, share * speck * core * smoothstep(-fine - 0.4 * medium, -0.9, -0.1))
    wall = np.clip(9 * lit(-cv2.GaussianBlur(pits, (0, 0), 0.6)), 0, 1)
    canvas.blend(_DEPOSIT, 0.5 * wall * body)
    canvas.blend(_PIT, 0.93 * pits)
