"""Render a dataset with a progress bar on stderr."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from .dataset import render_dataset
from .sheet import sheet_of_dataset


@dataclass(frozen=True)
class RenderSummary:
    """What a dataset holds after rendering.

    Attributes:
        out: folder of the dataset.
        images: images of all splits.
        drawn: how many of them were drawn now, the others existed.
        pixels: label pixels of normal, attached and broken.
    """

    out: Path
    images: int
    drawn: int
    pixels: tuple[int, int, int]

    def __str__(self) -> str:
        normal, attached, broken = (100 * count / sum(self.pixels) for count in self.pixels)
        return (
            f'{self.out}: {self.images} images, {self.drawn} drawn now; '
            f'normal {normal:.2f} %, attached {attached:.3f} %, broken {broken:.4f} % of the pixels'
        )


def render(
    out: Path,
    counts: Mapping[str, int],
    size: int = 512,
    seed: int = 0,
    workers: int = 1,
    style: Sequence[str] = (),
    sheet: Path | None = None,
) -> RenderSummary:
    """Render what is missing of a dataset, see :func:`wtaseg.blades.dataset.render_dataset`.

    Args:
        out: folder that gets img_dir/ and ann_dir/.
        counts: images per split.
        size: side of the square images in pixels.
        seed: another seed gives another dataset.
        workers: processes that draw.
        style: words for the appearance of the defects, ``WORD`` or ``WORD=SHARE``; empty: the plain appearance.
        sheet: also write a contact sheet of the first split that has images to this PNG.

    Raises:
        ValueError, FileNotFoundError: a count, the size or the folder can not be used.
    """
    pixels, drawn = [0, 0, 0], 0
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task('rendering', total=sum(counts.values()))
        for result in render_dataset(out, counts, size, seed, workers, style):
            pixels = [a + b for a, b in zip(pixels, result.pixels)]
            drawn += result.drawn
            progress.advance(task)
    if sheet:
        sheet_of_dataset(out, next(split for split, count in counts.items() if count), sheet)
    return RenderSummary(out, sum(counts.values()), drawn, tuple(pixels))
