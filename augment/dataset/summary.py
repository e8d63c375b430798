"""``summary.png``, a contact sheet to judge an augmentation by eye, and ``summary.csv`` with the metrics."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from augment.config import AugmentConfig
from augment.dataset.components import CLASS_COLOURS, EIGHT_CONNECTED, OTHER_COLOUR
from augment.dataset.manifest import REVIEW
from augment.dataset.planting import PlantedSample
from augment.dataset.quality import Metrics
from augment.dataset.reading import IMAGES, Dataset, Sample, decode_image, defect_mask, source_file
from augment.dataset.regions import Box, cut, extent
from augment.dataset.rows import PLANTED, EditRow
from augment.files import write_bytes, write_png

CELL, GAP, LINE = 192, 6, 14
DIFFERENCE_GAIN = 4
"""Factor on the differences shown; most are a few levels."""

METRICS = tuple(f.name for f in fields(Metrics))
WINDOW_MIN = 64  # pixels; three times as large in its cell
WINDOW_CONTEXT = 1.0  # surroundings shown on each side, in multiples of the defect's extent
OUTLINE_GAP = 2  # pixels of the cell, so that thin defects stay visible
Cell = tuple[np.ndarray | None, str, tuple]
"""Pixels ``(H, W, 3)`` uint8 of a cell, its caption and the colour of that."""

PAPER, INK, REFUSED = (255, 255, 255), (30, 30, 30), (200, 30, 30)


def write_summary(
    config: AugmentConfig, data: Dataset, edits: list[EditRow], planned: Sequence[Sample] = ()
) -> None:
    """Write both files into the output folder from the rows of its manifest.

    The images that were edited are those of ``data``, and ``planned`` ones with planted defects.
    """
    out = config.out_dir()
    write_bytes(out / 'summary.csv', table(edits).encode())
    samples = {source_file(data.split, sample): sample for sample in data.samples}
    samples |= {s.planting.image: s for s in planned if isinstance(s, PlantedSample)}
    edited = {row.edited_image for row in edits if row.regions or row.planting}
    sources = sorted(edited & samples.keys())
    if len(sources) > config.summary_rows:
        drawn = np.random.default_rng(config.seed).permutation(len(sources))[: config.summary_rows]
        sources = [sources[i] for i in sorted(drawn)]
    words = sorted({row.word for row in edits})
    by_cell = {(row.edited_image, row.word): row for row in edits}
    strips = []
    for source in sources:
        original, label = samples[source].pixels(), samples[source].class_ids()
        rows = [by_cell.get((source, word)) for word in words]
        strips.append(strip(out, source, original, label, rows))
    titles = ['source and label', 'reconstruction']
    for word in words:
        titles += [word, f'difference x{DIFFERENCE_GAIN}']
    write_png(out / 'summary.png', sheet(titles, strips))


def table(edits: list[EditRow]) -> str:
    """One line per edit: what it is, whether it was accepted and why not, and its metrics."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['file', 'source', 'word', 'accepted', 'reasons', 'regions', *METRICS])
    for row in edits:
        values = [getattr(row.metrics, name, None) for name in METRICS]
        cells = [row.file, row.source, row.word, row.accepted, '; '.join(row.reasons), len(row.regions)]
        writer.writerow(cells + ['' if value is None else value for value in values])
    return text.getvalue()


def strip(
    out: Path, source: str, original: np.ndarray, label: np.ndarray, edits: list[EditRow | None]
) -> Image.Image:
    """One row of the sheet: source with its label outlined, reconstruction, and edit and difference per word.

    All cells show the same window: around the largest of the defects that most of the edits changed. Where the region
    around it was refused in an accepted edit, the cell says why. ``original`` ``(H, W, 3)`` uint8 is the image at path
    ``source``, ``label`` ``(H, W)`` holds its class ids.
    """
    name = Path(source).relative_to(PLANTED if source.startswith(PLANTED) else IMAGES)
    mask = defect_mask(label)
    defect = shown_defect(mask, accepted_edits(edits, mask.shape))
    window = window_of(mask.shape, defect)
    reconstruction = read(out / REVIEW / 'reconstruction' / name)
    outlined = outline(enlarged(original, window), label, window)
    cells: list[Cell] = [
        (outlined, name.with_suffix('').as_posix(), INK),
        (None if reconstruction is None else enlarged(reconstruction, window), '', INK),
    ]
    for row in edits:
        if row is None:
            cells += [(None, '', INK)] * 2
            continue
        rejected = out / REVIEW / 'rejected' / Path(row.file).relative_to(IMAGES)
        edited = read(out / row.file if row.accepted else rejected)
        reasons = row.reasons if not row.accepted else refused_at(row, defect)
        described = caption(row.metrics) if row.metrics else 'as planted'
        text, colour = ('; '.join(reasons), REFUSED) if reasons else (described, INK)
        changed = None if edited is None else enlarged(difference(original, edited), window)
        cells.append((None if edited is None else enlarged(edited, window), text, colour))
        cells.append((changed, '', INK))
    return row_of_cells(cells)


def row_of_cells(cells: Sequence[Cell]) -> Image.Image:
    """Cells beside each other."""
    image = Image.new('RGB', (len(cells) * (CELL + GAP), CELL + 2 * LINE + GAP), PAPER)
    for column, (pixels, text, colour) in enumerate(cells):
        draw_cell(image, column * (CELL + GAP), pixels, text, colour)
    return image


def accepted_edits(edits: list[EditRow | None], shape: tuple[int, int]) -> np.ndarray:
    """How many edits have an accepted region at each pixel, ``(H, W)``."""
    count = np.zeros(shape, int)
    for row in edits:
        for region in row.regions if row is not None and row.accepted else ():
            if region.accepted:
                cut(count, tuple(region.box))[...] += 1
    return count


def shown_defect(mask: np.ndarray, edited: np.ndarray) -> Box | None:
    """Box of the largest of those defects of ``mask`` ``(H, W)`` whose count ``edited`` ``(H, W)`` is highest.

    None without a defect.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=EIGHT_CONNECTED
    )
    if count == 1:
        return None
    numbers = np.arange(1, count)
    edits = ndimage.minimum(edited, labels, numbers)
    return extent(stats[max(numbers, key=lambda n: (edits[n - 1], stats[n, cv2.CC_STAT_AREA]))])


def refused_at(row: EditRow, defect: Box | None) -> list[str]:
    """Why the region around ``defect`` was refused; empty where another region around it was accepted."""
    if defect is None:
        return []
    x0, y0, x1, y1 = defect
    around = [
        r for r in row.regions if r.box[0] <= x0 and r.box[1] <= y0 and r.box[2] >= x1 and r.box[3] >= y1
    ]
    return [] if any(r.accepted for r in around) else [reason for r in around for reason in r.reasons]


def window_of(shape: tuple[int, int], defect: Box | None) -> Box:
    """The box around ``defect`` with its surroundings in an image of ``shape`` (H, W); without one, the whole image."""
    height, width = shape
    if defect is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = defect
    side = max(WINDOW_MIN, round(max(x1 - x0, y1 - y0) * (1 + 2 * WINDOW_CONTEXT)))
    wide, high = min(side, width), min(side, height)
    left = min(max((x0 + x1 - wide) // 2, 0), width - wide)
    top = min(max((y0 + y1 - high) // 2, 0), height - high)
    return left, top, left + wide, top + high


def enlarged(pixels: np.ndarray, window: Box) -> np.ndarray:
    """The window of ``pixels`` ``(H, W, ...)``, scaled to fill a cell."""
    part = cut(pixels, window)
    scale = CELL / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    return cv2.resize(part, size, interpolation=cv2.INTER_NEAREST if scale >= 1 else cv2.INTER_AREA)


def caption(metrics: Metrics) -> str:
    """The caption of an accepted edit."""
    text = f'PSNR {metrics.reconstruction_psnr:.1f}, change {metrics.change_inside:.1f}'
    if metrics.defect_psnr is not None:
        text += f'; worst defect: PSNR {metrics.defect_psnr:.1f}'
    if metrics.defect_edit_kept is not None:
        text += f', contrast x{metrics.defect_edit_kept:.2f}'
    return text


def draw_cell(image: Image.Image, left: int, pixels: np.ndarray | None, text: str, colour: tuple) -> None:
    """One image with its caption; a refused one is framed."""
    draw = ImageDraw.Draw(image)
    if pixels is not None:
        image.paste(Image.fromarray(pixels), (left, 0))
    if colour == REFUSED:
        draw.rectangle((left, 0, left + CELL - 1, CELL - 1), outline=REFUSED, width=2)
    for number, line in enumerate(list(wrapped(draw, text))[:2]):
        draw.text((left, CELL + 1 + number * LINE), line, colour, font())


def wrapped(draw: ImageDraw.ImageDraw, text: str) -> Iterator[str]:
    """``text`` in lines of a cell's width."""
    line = ''
    for word in text.split():
        longer = f'{line} {word}'.strip()
        if line and draw.textlength(longer, font()) > CELL:
            yield line
            longer = word
        line = longer
    if line:
        yield line


def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(11)


def sheet(titles: Sequence[str], strips: Sequence[Image.Image]) -> np.ndarray:
    """Headings of the columns over all strips: ``(H, W, 3)`` uint8."""
    width = max([len(titles) * (CELL + GAP), *(s.width for s in strips)])
    image = Image.new('RGB', (width, 2 * LINE + sum(s.height for s in strips)), PAPER)
    draw = ImageDraw.Draw(image)
    for column, title in enumerate(titles):
        draw.text((column * (CELL + GAP), 4), title, INK, font())
    top = 2 * LINE
    for row in strips:
        image.paste(row, (0, top))
        top += row.height
    return np.array(image)


def outline(cell: np.ndarray, label: np.ndarray, window: Box) -> np.ndarray:
    """``cell``, the enlarged ``window`` of an image, with a line OUTLINE_GAP pixels outside the defects.

    ``label`` ``(H, W)`` holds the class ids of the whole image; each class has its colour.
    """
    kernel = np.ones((2 * OUTLINE_GAP + 1,) * 2, np.uint8)
    outlined = cell.copy()
    for class_id in np.unique(label[defect_mask(label)]).tolist():
        inside = (
            enlarged((label == class_id).astype(np.uint8) * 255, window) > 0
        )  # thin defects survive reduction
        grown = cv2.dilate(inside.astype(np.uint8), kernel)
        contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, contours, -1, CLASS_COLOURS.get(class_id, OTHER_COLOUR), 1)
    return outlined


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Absolute difference, enlarged by DIFFERENCE_GAIN."""
    return np.clip(cv2.absdiff(a, b).astype(np.int32) * DIFFERENCE_GAIN, 0, 255).astype(np.uint8)


def read(path: Path) -> np.ndarray | None:
    """Pixels of an image file, or None where there is none."""
    return decode_image(path.read_bytes()) if path.is_file() else None
