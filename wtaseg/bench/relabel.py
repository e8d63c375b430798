"""Copied and proposed labels against the truth, on rendered twins.

A twin pair is an unstyled image with its label and the same image in the style of a word with the label of what is visible
then: a source, its edit, and the true label of the edit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice, product

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy.ndimage import distance_transform_edt

from augment.dataset.components import CLASS_NAMES
from wtaseg.blades.scene import Blade, render_styles
from wtaseg.blades.styles import STYLES
from wtaseg.markdown import table_lines
from wtaseg.relabel.options import ProposalOptions
from wtaseg.relabel.proposals import Views, propose

EDITED_REACH = 8
"""Pixels around a label that an edit writes anew with the defaults of ``wta-seg augment``, where noise is added."""


@dataclass
class Overlap:
    """Pixels in both and in either of a label and the truth, over images."""

    both: int = 0
    either: int = 0

    def add(self, label: np.ndarray, truth: np.ndarray) -> None:
        """Count one image, masks ``(H, W)`` bool."""
        self.both += int((label & truth).sum())
        self.either += int((label | truth).sum())

    @property
    def iou(self) -> float:
        """Intersection over union in percent; NaN where there is nothing."""
        return 100 * self.both / self.either if self.either else float('nan')


@dataclass(frozen=True)
class LabelQuality:
    """IoU in percent of the copied and of the proposed label with the truth, for a class in images of one word."""

    word: str
    defect: str
    noise: float
    copied: float
    proposed: float

    @property
    def error_gone(self) -> float:
        """Percent of the copied label's error (100 less its IoU) that the proposed one does not have."""
        return 100 * (self.proposed - self.copied) / (100 - self.copied)


def measure(
    images: int,
    seed: int,
    size: int = 512,
    noises: Sequence[float] = (0.0,),
    options: ProposalOptions | None = None,
    defect: Callable[[np.ndarray], np.ndarray] | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[LabelQuality]:
    """IoU by noise, word and class over rendered images.

    Args:
        images: rendered images with a defect, each in six words.
        seed: of the renderer.
        size: side of the images in pixels.
        noises: standard deviations in levels of 255 of normal noise in the edit, near the defects.
        options: of the proposals.
        defect: gives the probability ``(H, W)`` of a defect in an image ``(H, W, 3)`` uint8 RGB; None: no segmenter.
        done: called after each image.
    """
    overlaps: dict[tuple[float, str, int], tuple[Overlap, Overlap]] = {}
    rng = np.random.default_rng(seed)
    for blades in islice(with_defects(seed, size), images):
        label, source = blades[None].label, rgb(blades[None].image)
        near = distance_transform_edt(label == 0) <= EDITED_REACH
        for word, noise in product(STYLES, noises):
            edited = with_noise(rgb(blades[word].image), near, noise, rng)
            views = Views(source, edited, defect=defect(edited) if defect else None)
            proposed, truth = propose(views, label, options), blades[word].label
            for class_id in CLASS_NAMES:
                pair = overlaps.setdefault((noise, word, class_id), (Overlap(), Overlap()))
                for overlap, ids in zip(pair, (label, proposed)):
                    overlap.add(ids == class_id, truth == class_id)
        done()
    return [
        LabelQuality(word, CLASS_NAMES[class_id], noise, copied.iou, proposed.iou)
        for (noise, word, class_id), (copied, proposed) in overlaps.items()
    ]


def measure_with_progress(
    images: int,
    seed: int,
    size: int,
    noises: Sequence[float],
    options: ProposalOptions,
    model: str | None = None,
    device: str | None = None,
) -> list[LabelQuality]:
    """:func:`measure` with a progress bar on stderr and a segmenter by name, see :class:`Segmenter`."""
    defect = None
    if model is not None:
        from wtaseg.relabel.segmenter import Segmenter

        segmenter = Segmenter(model, device)

        def defect(image: np.ndarray) -> np.ndarray:
            return segmenter.defect(np.ascontiguousarray(image[..., ::-1]))

    columns = (TextColumn('measuring'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task('', total=images)
        return measure(images, seed, size, noises, options, defect, lambda: progress.advance(task))


def with_defects(seed: int, size: int) -> Iterator[dict[str | None, Blade]]:
    """Rendered images that have a defect, each in all styles."""
    for index in count():
        blades = render_styles(seed, 'train', index, size)
        if blades[None].label.any():
            yield blades


def rgb(image: np.ndarray) -> np.ndarray:
    """A rendered image, which is BGR, as RGB."""
    return np.ascontiguousarray(image[..., ::-1])


def with_noise(image: np.ndarray, where: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """``image`` ``(H, W, 3)`` uint8 with normal noise where ``where`` ``(H, W)`` is True."""
    if not sigma:
        return image
    noisy = np.clip(np.rint(image + rng.normal(0, sigma, image.shape)), 0, 255).astype(np.uint8)
    return np.where(where[..., None], noisy, image)


def table(rows: Sequence[LabelQuality]) -> str:
    """The measure as Markdown, a line per word and noise."""
    by_line: dict[tuple[float, str], dict[str, LabelQuality]] = {}
    for row in rows:
        by_line.setdefault((row.noise, row.word), {})[row.defect] = row
    titles = ['Noise', 'Word']
    titles += [
        f'{name} {kind}' for name in CLASS_NAMES.values() for kind in ('copied', 'proposed', 'error gone')
    ]
    lines = []
    for (noise, word), classes in sorted(by_line.items(), key=lambda line: line[0][0]):
        cells = [f'{noise:g}', word]
        for name in CLASS_NAMES.values():
            row = classes[name]
            cells += [f'{row.copied:.1f}', f'{row.proposed:.1f}', f'{row.error_gone:.0f} %']
        lines.append(cells)
    return '\n'.join(table_lines(titles, lines, texts=2))
