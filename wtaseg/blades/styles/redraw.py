"""Redraw the defects of an image in one of the six styles and label what is visible then."""

from collections.abc import Callable

import cv2
import numpy as np

from ..surface import Part
from .canvas import GROW, Canvas, distance_from, fill_holes, strongest
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

#: Unchanged spots of at most this many pixels inside a styled defect carry its label.
LARGEST_GAP = 30

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
    """Draw the defects of ``twin`` in the style ``word``.

    Args:
        rng: Source of randomness, of the style alone.
        word: One of ``STYLES``.
        part: The part, for its metal and scale.
        clean: ``(H, W, 3)`` float32 BGR, the scene without defects.
        twin: The same with unstyled defects.
        label: ``(H, W)`` uint8, the unstyled label.

    Returns:
        The styled scene ``(H, W, 3)`` float32 and its label ``(H, W)`` uint8.
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
    # Beyond the reach nothing is styled, so what the twin left unlabelled there stays unlabelled.
    near = (part.metal > 0.5) & (reach > 0)
    return _labelled(near, clean, twin, styled, label)


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
    allowed: np.ndarray, clean: np.ndarray, twin: np.ndarray, styled: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The styled scene and its label: what is visible against ``clean`` where ``allowed`` is True."""
    visible = ((strongest(styled - clean) > VISIBLE) & allowed).astype(np.uint8)
    visible = cv2.morphologyEx(visible, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    visible = fill_holes(visible, LARGEST_GAP) & allowed
    lost = _lost(label, visible)
    if lost.any():
        styled = np.where(_grown(lost, 2)[..., None], twin, styled)
        visible |= lost
    value = label.max()
    if (label == 1).any() and value == 2:
        value = np.where(distance_from(label == 2) <= distance_from(label == 1), 2, 1)
    return styled, np.where(visible, value, 0).astype(np.uint8)


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _lost(label: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Pixels of the twin's defects beside which nothing styled is visible."""
    defect = label > 0
    _, parts = cv2.connectedComponents(defect.astype(np.uint8), connectivity=8)
    area = np.bincount(parts[defect])
    seen = np.bincount(parts[defect & _grown(visible, 2)], minlength=len(area)) > 0
    lost = ~seen & (area >= SMALLEST)
    return lost[parts] & defect
