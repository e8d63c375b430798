"""Redraws the defects of an image in one of the six styles and labels what is then visible."""

from collections.abc import Callable

import cv2
import numpy as np

from ..surface import Part
from .canvas import GROW, LARGEST_HOLE, Canvas, distance_from, fill_holes
from .coating import peeling, scratch
from .relief import blistering, dent
from .stains import corrosion, rust

Style = Callable[[np.random.Generator, Canvas], None]

#: The words, in the order of the published method, and what draws them.
STYLES: dict[str, Style] = {
    'scratch': scratch,
    'rust': rust,
    'peeling': peeling,
    'corrosion': corrosion,
    'blistering': blistering,
    'dent': dent,
}

#: Change of the metal, in levels of 255 of the strongest channel, from which a pixel carries a label.
VISIBLE = 12.0

#: A twin's defect of at least this many pixels has a styled label of its own.
SMALLEST = 3


def restyle(
    rng: np.random.Generator,
    word: str,
    part: Part,
    clean: np.ndarray,
    twin: np.ndarray,
    label: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the defects of ``twin`` in the style ``word``.

    Args:
        rng: Source of randomness, of the style alone.
        word: One of ``STYLES``.
        part: The part, for its metal and scale.
        clean: ``(H, W, 3)`` float32 BGR, the scene without defects.
        twin: The same with unstyled defects.
        label: ``(H, W)`` uint8, the unstyled label.

    Returns:
        The styled scene ``(H, W, 3)`` float32 and its label ``(H, W)`` uint8. Farther than ``GROW`` pixels
        from both labels the scene equals ``twin``.
    """
    ground = clean.copy()
    reach = np.zeros(label.shape, np.float32)
    for value in (1, 2):
        window = _window(label == value)
        if window is None:
            continue
        canvas = Canvas(
            ground[window].copy(),
            twin[window] - clean[window],
            label[window] == value,
            value == 2,
            part.frame.scale,
        )
        STYLES[word](rng, canvas)
        strength = canvas.reach
        ground[window] += strength[..., None] * (canvas.ground - ground[window])
        np.maximum(reach[window], strength, out=reach[window])
    np.clip(ground, 0, None, out=ground)
    reach *= part.metal
    styled = twin + reach[..., None] * (ground - twin)
    return _labelled(part, clean, twin, styled, label)


def _window(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The square around ``mask`` with room for what a style adds, inside the image."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    size = mask.shape[0]
    low = np.array([rows[0], columns[0]]) - 2 * GROW
    side = min(size, int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1 + 4 * GROW)
    y, x = np.clip(low, 0, size - side)
    return slice(y, y + side), slice(x, x + side)


def _labelled(
    part: Part, clean: np.ndarray, twin: np.ndarray, styled: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    metal = part.metal > 0.5
    visible = np.abs(styled - clean).max(-1) > VISIBLE
    visible &= metal
    visible = cv2.morphologyEx(visible.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    visible = fill_holes(visible, LARGEST_HOLE) & metal
    lost = _lost(label, visible)
    if lost.any():
        near = (distance_from(lost) <= 2)[..., None]
        styled = np.where(near, twin, styled)
        visible |= lost
    broken_nearer = distance_from(label == 2) <= distance_from(label == 1)
    result = np.where(visible, np.where(broken_nearer, 2, 1), 0).astype(np.uint8)
    far = distance_from((label > 0) | (result > 0)) > GROW
    styled[far] = twin[far]
    return styled, result


def _lost(label: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Pixels of the twin's defects beside which nothing styled is visible."""
    _, parts = cv2.connectedComponents((label > 0).astype(np.uint8), connectivity=8)
    area = np.bincount(parts.ravel())
    near = distance_from(visible) <= 2
    seen = np.bincount(parts[near], minlength=len(area)) > 0
    lost = ~seen & (area >= SMALLEST)
    lost[0] = False
    return lost[parts]
