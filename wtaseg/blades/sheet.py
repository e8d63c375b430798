"""A contact sheet: images of a dataset above the same images with their labels outlined."""

from pathlib import Path

import cv2
import numpy as np

from ..io import write
from ..palette import bgr, class_colors

_GAP = 4


def outlined(image: np.ndarray, label: np.ndarray, scale: int = 2) -> np.ndarray:
    """The image enlarged by ``scale`` with every labelled region outlined in its class's colour."""
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    fine = np.kron(label, np.ones((scale, scale), np.uint8))
    for value, color in list(enumerate(class_colors()))[1:]:
        contours = cv2.findContours((fine == value).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(large, contours, -1, bgr(color), 1)
    return large


def busiest_window(label: np.ndarray, side: int) -> tuple[slice, slice]:
    """The square window centred on most defect, broken counting as more as it is rarer."""
    weight = np.where(label == 2, 6.0, (label == 1).astype(np.float64))
    weight = cv2.GaussianBlur(weight, (0, 0), side / 5, borderType=cv2.BORDER_CONSTANT)
    middle = np.array(np.unravel_index(int(weight.argmax()), weight.shape))
    y, x = np.clip(middle - side // 2, 0, np.array(label.shape) - side)
    return slice(y, y + side), slice(x, x + side)


def contact_sheet(
    pairs: list[tuple[np.ndarray, np.ndarray]], columns: int = 5, cell: int = 240
) -> np.ndarray:
    """An image with, for each of ``pairs``, the whole view, a detail of it, and the detail with its labels.

    Args:
        pairs: Images ``(H, W, 3)`` BGR and labels ``(H, W)``.
        columns: Images in a row; each row of the sheet is three cells high.
        cell: Side of a cell in pixels.
    """
    zoom = 3
    rows = []
    for start in range(0, len(pairs), columns):
        lines = ([], [], [])
        for image, label in pairs[start : start + columns]:
            window = busiest_window(label, min(cell // zoom, *label.shape))
            detail = image[window]
            plain = cv2.resize(detail, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
            for line, part in zip(lines, (image, plain, outlined(detail, label[window], zoom))):
                line.append(
                    part
                    if part.shape[0] == cell
                    else cv2.resize(part, (cell, cell), interpolation=cv2.INTER_AREA)
                )
        blank = np.full((cell, cell, 3), 255, np.uint8)
        for line in lines:
            line += [blank] * (columns - len(line))
            frame = dict(borderType=cv2.BORDER_CONSTANT, value=(255,) * 3)
            rows.append(np.hstack([cv2.copyMakeBorder(c, 0, _GAP, 0, _GAP, **frame) for c in line]))
    return np.vstack(rows)


def sheet_of_dataset(root: Path, split: str, target: Path, count: int = 5) -> None:
    """Write the contact sheet of the images of a split with most kinds of defect to ``target``.

    Raises:
        FileNotFoundError: The split has no image with a label.
    """
    scored = []
    for path in sorted((Path(root) / 'ann_dir' / split).glob('*.png'))[:400]:
        pixels = np.bincount(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel(), minlength=3)
        scored.append((bool(pixels[1]) + bool(pixels[2]), pixels[1] + 6 * pixels[2], path))
    if not scored:
        raise FileNotFoundError(f'{Path(root) / "ann_dir" / split} holds no label; render the split first.')
    # Evenly from the richest third, so that the sheet shows small defects as well as fields.
    richest = sorted(scored, reverse=True)[: max(count, len(scored) // 3)]
    chosen = [richest[i][2] for i in np.linspace(0, len(richest) - 1, min(count, len(richest))).astype(int)]
    pairs = [
        (
            cv2.imread(str(Path(root) / 'img_dir' / split / path.name)),
            cv2.imread(str(path), cv2.IMREAD_UNCHANGED),
        )
        for path in chosen
    ]
    # Without its two lowest bits the noise of dark metal packs to a quarter, and nothing visible is lost.
    packed = cv2.imencode('.png', contact_sheet(pairs) & 0xFC | 2, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    write(Path(target), packed.tobytes())
