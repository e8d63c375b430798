"""A sheet of all styles: a column per word, a row per kind of defect, the unstyled twin beside them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ..io import write
from .scene import Blade, render_blade, render_styles
from .sheet import outlined
from .styles import NONE, STYLES
from .styles.canvas import fill_holes

#: Native pixels a cell shows, and how many times it is enlarged.
WINDOW, ZOOM = 48, 4

#: Tells from a label whether the image has a kind of defect, and where (y, x).
Finder = Callable[[np.ndarray], tuple[int, int] | None]

_GAP, _HEAD, _LEFT = 4, 26, 112
_SIZE = 512


def _component(mask: np.ndarray, good: Callable[[np.ndarray], bool]) -> tuple[int, int] | None:
    """Centre (y, x) of the largest component of ``mask`` for which ``good`` holds."""
    count, parts, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for k in sorted(range(1, count), key=lambda k: -stats[k, cv2.CC_STAT_AREA]):
        x, y, w, h = stats[k, :4]
        part = np.pad(parts[y : y + h, x : x + w] == k, 1)
        if good(part):
            return round(centres[k][1]), round(centres[k][0])
    return None


def _thickness(part: np.ndarray) -> float:
    return float(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5).max())


def _ring(label: np.ndarray) -> tuple[int, int] | None:
    return _component(
        label == 1, lambda p: max(p.shape) < 42 and fill_holes(p, 900).sum() > 1.8 * p.sum() > 100
    )


def _specks(label: np.ndarray) -> tuple[int, int] | None:
    around = cv2.blur((label > 0).astype(np.float32), (WINDOW, WINDOW)) * WINDOW**2
    return _component((label == 1) & (around < 40), lambda p: 5 <= p.sum() <= 12)


def _crowd(low: int, high: int) -> Finder:
    """Finds a window of many small components with ``low`` to ``high`` attached pixels."""

    def find(label: np.ndarray) -> tuple[int, int] | None:
        around = cv2.blur((label == 1).astype(np.float32), (WINDOW, WINDOW)) * WINDOW**2
        y, x = (int(v) for v in np.unravel_index(int(around.argmax()), around.shape))
        half = WINDOW // 2
        window = label[max(0, y - half) : y + half, max(0, x - half) : x + half]
        many = cv2.connectedComponents((window == 1).astype(np.uint8), connectivity=8)[0] > 8
        return (y, x) if low <= around[y, x] < high and many and not (window == 2).any() else None

    return find


def _crack(label: np.ndarray) -> tuple[int, int] | None:
    return _component(label == 2, lambda p: p.sum() > 45 and _thickness(p) < 2.5)


def _region(label: np.ndarray) -> tuple[int, int] | None:
    return _component(label == 2, lambda p: p.sum() < 900 and _thickness(p) > 5)


#: Kinds of defect, in the order of the published figure, and how a label shows that it has one.
KINDS: dict[str, Finder] = {
    'attached: ring': _ring,
    'attached: specks': _specks,
    'attached: cluster': _crowd(150, 400),
    'attached: field': _crowd(600, 1400),
    'broken: crack': _crack,
    'broken: region': _region,
}


def examples(seed: int, images: int = 60) -> Iterator[tuple[str, int, tuple[slice, slice]]]:
    """Kind, image index of the training split and window of one example of each of ``KINDS``.

    Raises:
        ValueError: One of the kinds is in none of the first ``images`` images.
    """
    missing = dict(KINDS)
    for index in range(images):
        if not missing:
            return
        label = render_blade(seed, 'train', index, _SIZE).label
        for kind, find in list(missing.items()):
            place = find(label)
            if place is not None and all(WINDOW / 2 < v < _SIZE - WINDOW / 2 for v in place):
                y, x = (v - WINDOW // 2 for v in place)
                del missing[kind]
                yield kind, index, (slice(y, y + WINDOW), slice(x, x + WINDOW))
                break
    raise ValueError(
        f'--seed {seed}: no {", ".join(missing)} in the first {images} images; take another seed.'
    )


def style_sheet(seed: int = 0, labels: bool = False) -> np.ndarray:
    """The sheet as a BGR image; with ``labels`` a second row per kind outlines the labels."""
    words = (None, *STYLES)
    chosen = {kind: (index, window) for kind, index, window in examples(seed)}
    rows = [_header(words)]
    for kind in KINDS:
        index, window = chosen[kind]
        blades = render_styles(seed, 'train', index, _SIZE, words)
        cells = [_cell(blades[word], window, False) for word in words]
        rows.append(_row(kind, cells))
        if labels:
            rows.append(_row('', [_cell(blades[word], window, True) for word in words]))
    return np.vstack(rows)


def _cell(blade: Blade, window: tuple[slice, slice], label: bool) -> np.ndarray:
    detail = blade.image[window]
    if label:
        return outlined(detail, blade.label[window], ZOOM)
    # Half smooth, half by repeating pixels, which packs far better.
    smooth = cv2.resize(detail, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return cv2.resize(smooth, None, fx=ZOOM / 2, fy=ZOOM / 2, interpolation=cv2.INTER_NEAREST)


def _row(title: str, cells: list[np.ndarray]) -> np.ndarray:
    white = dict(borderType=cv2.BORDER_CONSTANT, value=(255,) * 3)
    cells = [cv2.copyMakeBorder(cell, 0, _GAP, 0, _GAP, **white) for cell in cells]
    side = np.full((cells[0].shape[0], _LEFT, 3), 255, np.uint8)
    for k, line in enumerate(title.split(' ')):
        _text(side, line, (6, side.shape[0] // 2 - 6 + 22 * k))
    return np.hstack([side, *cells])


def _header(words: tuple[str | None, ...]) -> np.ndarray:
    cell = WINDOW * ZOOM + _GAP
    head = np.full((_HEAD, _LEFT + cell * len(words), 3), 255, np.uint8)
    for k, word in enumerate(words):
        _text(head, word or NONE, (_LEFT + k * cell + 6, _HEAD - 8))
    return head


def _text(image: np.ndarray, text: str, place: tuple[int, int]) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)


def write_style_sheet(target: Path, seed: int = 0, labels: bool = False) -> None:
    """Write :func:`style_sheet` to the PNG ``target``, a few hundred kilobytes."""
    # Without its two lowest bits the noise of dark metal packs to a quarter, and nothing visible is lost.
    packed = cv2.imencode('.png', style_sheet(seed, labels) & 0xFC | 2, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    write(Path(target), packed.tobytes())
