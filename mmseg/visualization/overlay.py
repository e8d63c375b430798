"""Images with labels or predictions marked on them, in the one style of the project.

Regions are outlined at a distance, so that every pixel of a defect and its border stay as they are. Names of classes
are in a legend below the images, titles above them, and small regions are magnified below the image they are in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .regions import Window, choose_windows
from .text import INK, shortened, text_width, write_text

Color = tuple[int, int, int]
"""RGB, 0 to 255."""

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
#: Sides that an image is drawn with, in pixels: smaller ones are enlarged by whole factors, larger ones reduced.
SMALLEST, LARGEST = 400, 1024
FONT, MARGIN = 15, 10
#: Colours with a luma above it get a dark edge, others a light one.
BRIGHT = 110


@dataclass(frozen=True)
class Panel:
    """One of several images side by side.

    Attributes:
        title: written above it.
        image: ``(H, W, 3)`` uint8, RGB.
        labels: class ids ``(H, W)``; None: nothing is marked.
    """

    title: str
    image: np.ndarray
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Legend:
    """The classes that are marked: colour and name by id; others, such as the normal class, are left alone."""

    colors: Mapping[int, Color]
    names: Mapping[int, str]

    @classmethod
    def of(
        cls, names: Sequence[str], colors: Sequence[Sequence[int]], skipped: Sequence[int] = (0,)
    ) -> 'Legend':
        """All classes but ``skipped``, from names and colours in the order of their ids."""
        ids = [index for index in range(len(names)) if index not in skipped]
        return cls({i: tuple(map(int, colors[i])) for i in ids}, {i: names[i] for i in ids})


def outline(
    image: np.ndarray, labels: np.ndarray, colors: Mapping[int, Color], width: int = 1, gap: int = 3
) -> np.ndarray:
    """Draw a line around every region, and an edge around the line that sets it off the image.

    No line covers a pixel of a region of any class. Holes of a region get no line of their own, since it would look
    like a defect.

    Args:
        image: ``(H, W, 3)`` uint8, RGB; it is not changed.
        labels: class ids ``(H, W)``.
        colors: of the classes to draw.
        width: of the lines in pixels.
        gap: pixels between a region and its line.

    Raises:
        ValueError: the two differ in size.
    """
    check_size(image, labels)
    result = image.copy()
    drawn = [index for index in np.unique(labels).tolist() if index in colors]
    free = ~np.isin(labels, drawn)
    for index in drawn:
        mask = (labels == index).astype(np.uint8)
        inner = _filled(_dilated(mask, gap))
        outer = _dilated(inner, width)
        edge = _dilated(outer, 1)
        luma = float(np.dot(colors[index], (0.299, 0.587, 0.114)))  # ITU-R BT.601
        result[(edge > outer) & free] = BLACK if luma > BRIGHT else WHITE
        result[(outer > inner) & free] = colors[index]
    return result


def check_size(image: np.ndarray, labels: np.ndarray) -> None:
    """Raise where an image and its labels differ in size.

    Raises:
        ValueError: they do.
    """
    if image.shape[:2] != labels.shape:
        raise ValueError(
            f'image of {image.shape[:2]} and label map of {labels.shape} (height, width); expected the same size'
        )


def _dilated(mask: np.ndarray, distance: int) -> np.ndarray:
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance + 1,) * 2))


def _filled(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)


def compose(panels: Sequence[Panel], legend: Legend, heading: str = '') -> np.ndarray:
    """Panels of equal size side by side, with titles, magnified small regions and a legend.

    Args:
        panels: at least one.
        legend: the classes that are marked.
        heading: name of the image, above everything.

    Returns:
        ``(H, W, 3)`` uint8, RGB, on white.

    Raises:
        ValueError: images or labels differ in size.
    """
    sizes = {panel.image.shape[:2] for panel in panels}
    if len(sizes) != 1:
        raise ValueError(f'panels of the sizes {sorted(sizes)} (height, width); expected one size')
    for panel in panels:
        if panel.labels is not None:
            check_size(panel.image, panel.labels)
    marked = [panel.labels for panel in panels if panel.labels is not None]
    shown = _display_size(next(iter(sizes)))
    windows = choose_windows(marked, list(legend.colors), shown[1])
    columns = [_column(panel, legend, shown, windows) for panel in panels]
    spaces = [np.full((columns[0].shape[0], MARGIN, 3), 255, np.uint8)] * (len(columns) + 1)
    body = np.concatenate([part for pair in zip(spaces, columns) for part in pair] + spaces[-1:], axis=1)
    top = [_line(shortened(heading, FONT, body.shape[1] - 2 * MARGIN), body.shape[1])] if heading else []
    return np.concatenate([*top, body, *_legend_rows(legend, body.shape[1])], axis=0)


def _display_size(size: tuple[int, int]) -> tuple[int, int]:
    longest = max(size)
    if longest > LARGEST:
        return tuple(max(1, round(side * LARGEST / longest)) for side in size)
    factor = -(-SMALLEST // longest)
    return size[0] * factor, size[1] * factor


def _column(panel: Panel, legend: Legend, shown: tuple[int, int], windows: Sequence[Window]) -> np.ndarray:
    """A panel with its title and, below it, its magnified windows."""
    height, width = shown
    picture = _resized(panel.image, shown)
    scale = height / panel.image.shape[0]
    if panel.labels is not None:
        labels = _resized_labels(panel.labels, shown, list(legend.colors))
        thick = max(2, round(max(shown) / 512))
        picture = outline(picture, labels, legend.colors, thick, 2 * thick)
    for number, window in enumerate(windows, start=1):
        _frame(picture, window, scale, str(number))
    parts = [_line(shortened(panel.title, FONT, width), width, 0), picture]
    if windows:
        parts += [_line('', width, 0)[: MARGIN // 2], _insets(panel, legend, width, windows)]
    return np.concatenate(parts, axis=0)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mode = cv2.INTER_NEAREST if size[0] >= image.shape[0] else cv2.INTER_AREA
    return cv2.resize(np.ascontiguousarray(image), size[::-1], interpolation=mode)


def _resized_labels(labels: np.ndarray, size: tuple[int, int], ids: Sequence[int]) -> np.ndarray:
    """Label map at another size; reduced, a pixel has a class if any of its pixels had it, so that thin regions stay."""
    if size[0] >= labels.shape[0]:
        return cv2.resize(labels.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    result = np.zeros(size, np.uint8)
    for index in ids:
        share = cv2.resize((labels == index).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
        result[share > 0] = index
    return result


def _frame(image: np.ndarray, window: Window, scale: float, number: str) -> None:
    """A thin frame where a window is magnified, with its number; in place."""
    x, y, side = (round(value * scale) for value in (window.x, window.y, window.side))
    bottom, right = min(y + side, image.shape[0]) - 1, min(x + side, image.shape[1]) - 1
    cv2.rectangle(image, (x, y), (right, bottom), BLACK, 1)
    cv2.rectangle(image, (x + 1, y + 1), (right - 1, bottom - 1), WHITE, 1)
    size = FONT - 3
    place = x + 3, y - size - 3 if y >= size + 4 else min(bottom + 1, image.shape[0] - size - 3)
    for offset in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        write_text(image, number, (place[0] + offset[0], place[1] + offset[1]), size, BLACK)
    write_text(image, number, place, size, WHITE)


def _insets(panel: Panel, legend: Legend, width: int, windows: Sequence[Window]) -> np.ndarray:
    """The windows of a panel at native scale, magnified, side by side, each below its number."""
    size = max(window.side * window.factor for window in windows)
    row = np.full((size + FONT + 6, width, 3), 255, np.uint8)
    for place, window in enumerate(windows):
        rows, columns = slice(window.y, window.y + window.side), slice(window.x, window.x + window.side)
        crop = np.kron(panel.image[rows, columns], np.ones((window.factor, window.factor, 1), np.uint8))
        if panel.labels is not None:
            labels = np.kron(panel.labels[rows, columns], np.ones((window.factor,) * 2, np.uint8))
            crop = outline(crop, labels, legend.colors, 2, 2)
        left = place * (size + MARGIN // 2)
        write_text(row, f'{place + 1}: ×{window.factor}', (left, 1), FONT - 3)
        row[FONT + 4 : FONT + 4 + crop.shape[0], left : left + crop.shape[1]] = crop
    return row


def _line(text: str, width: int, indent: int = MARGIN) -> np.ndarray:
    line = np.full((FONT + 10, width, 3), 255, np.uint8)
    if text:
        write_text(line, text, (indent, 4), FONT)
    return line


def _legend_rows(legend: Legend, width: int) -> list[np.ndarray]:
    """Swatches with the names of the classes, in as many rows as they need."""
    rows: list[np.ndarray] = []
    x = width
    for index, name in legend.names.items():
        name = shortened(name, FONT, width - 3 * MARGIN - FONT)
        needed = FONT + 6 + text_width(name, FONT) + 2 * MARGIN
        if x + needed > width:
            rows.append(_line('', width))
            x = MARGIN
        cv2.rectangle(rows[-1], (x, 6), (x + FONT, 6 + FONT - 2), legend.colors[index], cv2.FILLED)
        cv2.rectangle(rows[-1], (x, 6), (x + FONT, 6 + FONT - 2), INK, 1)
        write_text(rows[-1], name, (x + FONT + 6, 4), FONT)
        x += needed
    return rows
