"""Pixels of outlines, lines, discs and run lengths, and the other way round."""

import cv2
import numpy as np


def fill_polygon(labels: np.ndarray, points: np.ndarray, value: int) -> None:
    """Set the pixels of ``labels`` ``(H, W)`` whose centres lie inside an outline.

    Pixel (x, y) covers [x, x+1) x [y, y+1), as in COCO and LabelMe. The fills of OpenCV and PIL take every pixel
    that the outline touches, which would turn a speckle of four pixels into one of nine. An outline that contains no
    pixel centre is drawn as a line one pixel wide.

    Args:
        labels: class ids, changed in place.
        points: corners ``(N, 2)`` as (x, y); crossing outlines follow the even-odd rule.
        value: class id to set.
    """
    points = np.asarray(points, float)
    height, width = labels.shape
    x0, y0 = points[:, 0], points[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    first = max(0, int(np.floor(y0.min())))
    last = min(height, int(np.ceil(y0.max())) + 1)
    filled = False
    for row in range(first, last):
        centre = row + 0.5
        crossing = (y0 <= centre) != (y1 <= centre)
        if not crossing.any():
            continue
        a, b = y0[crossing], y1[crossing]
        at = np.sort(x0[crossing] + (centre - a) / (b - a) * (x1[crossing] - x0[crossing]))
        # the centre of a column is at column + 0.5
        edges = np.clip(np.ceil(at - 0.5), 0, width).astype(int)
        for left, right in zip(edges[::2], edges[1::2]):
            if right > left:
                labels[row, left:right] = value
                filled = True
    if not filled:
        draw_line(labels, np.concatenate([points, points[:1]]), 1, value)


def draw_line(labels: np.ndarray, points: np.ndarray, width: int, value: int) -> None:
    """Draw an open line of ``width`` pixels through ``points`` ``(N, 2)`` as (x, y)."""
    pixels = np.floor(np.asarray(points, float)).astype(np.int32)
    cv2.polylines(labels, [pixels], False, int(value), int(width), cv2.LINE_8)


def fill_circle(labels: np.ndarray, centre: np.ndarray, radius: float, value: int) -> None:
    """Set the pixels whose centres lie in a disc; ``centre`` is (x, y), ``radius`` in pixels.

    A disc that contains no pixel centre sets the pixel of its own centre.
    """
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    inside = (x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2 <= radius**2
    _set_disc(labels, inside, centre, value)


def fill_ellipse(
    labels: np.ndarray, centre: np.ndarray, radii: np.ndarray, axes: np.ndarray, value: int
) -> None:
    """Set the pixels whose centres lie in an ellipse, at least that of its own centre.

    Args:
        labels: class ids ``(H, W)``, changed in place.
        centre: (x, y) in pixels.
        radii: along the two axes, in pixels, above 0.
        axes: their directions ``(2, 2)``, one (x, y) of length 1 per row.
        value: class id to set.
    """
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    x, y = x + 0.5 - centre[0], y + 0.5 - centre[1]
    (first, second) = ((x * axis[0] + y * axis[1]) / radius for axis, radius in zip(axes, radii))
    _set_disc(labels, first**2 + second**2 <= 1, centre, value)


def _set_disc(labels: np.ndarray, inside: np.ndarray, centre: np.ndarray, value: int) -> None:
    if inside.any():
        labels[inside] = value
    elif (np.floor(centre) >= 0).all() and (np.floor(centre) < labels.shape[::-1]).all():
        column, row = np.floor(centre).astype(int)
        labels[row, column] = value


def decode_rle(counts: list[int] | str | bytes, height: int, width: int) -> np.ndarray:
    """COCO's run lengths as a mask bool ``(H, W)``; runs go down the columns and start with zeros.

    Args:
        counts: run lengths, or their compressed form: characters from '0' on with six bits each, five of data and one
            that is set if more characters follow; from the fourth run on the difference to the run two before.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Raises:
        ValueError: the runs do not add up to the size of the image.
    """
    runs = list(counts) if isinstance(counts, list) else _uncompress(counts)
    if sum(runs) != height * width or any(run < 0 for run in runs):
        raise ValueError(f'run lengths add up to {sum(runs)}, the image has {height} x {width} pixels')
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


# a run is shorter than the pixels of an image
_LONGEST_RUN_BITS = 40


def _uncompress(counts: str | bytes) -> list[int]:
    text = counts if isinstance(counts, bytes) else counts.encode()
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or shift > _LONGEST_RUN_BITS:
            raise ValueError(f'the compressed run lengths hold {chr(byte)!r} where no number can be')
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def run_lengths(mask: np.ndarray, place: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """COCO's run lengths of an image that is False but for a mask: down the columns, beginning with False.

    Args:
        mask: bool ``(h, w)``.
        place: x and y of its upper left corner.
        size: (height, width) of the image.
    """
    x, y = place
    columns = np.zeros((mask.shape[1], size[0]), bool)
    columns[:, y : y + mask.shape[0]] = mask.T
    values = np.concatenate([[False], columns.ravel(), [False]])
    changes = np.flatnonzero(values[1:] != values[:-1]) + x * size[0]
    ends = [0, *changes.tolist(), size[0] * size[1]]
    runs = np.diff(ends).tolist()
    return runs if runs[-1] else runs[:-1]
