"""How many planted defects lie on the part: on rendered images the geometry is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from augment.dataset.donors import TURNS, Cutter, Donor, find_donors
from augment.dataset.placing import find_place
from augment.dataset.planting import TRIES
from augment.dataset.reading import NORMAL, Sample, defect_mask, read_dataset
from augment.dataset.regions import cut
from wtaseg.blades.dataset import render_dataset
from wtaseg.blades.scene import metal_of
from wtaseg.markdown import table_lines

SPLIT = 'train'


@dataclass(frozen=True)
class Placement:
    """What was planted with one ``difference``.

    Attributes:
        difference: ``--plant-difference``.
        wanted, planted: defects that were to be planted, and that found a place.
        tries: mean number of donors tried for each.
        on_metal: percent of the planted defects with all pixels on the metal.
        metal: percent of the pixels of the normal images that are metal.
    """

    difference: float
    wanted: int
    planted: int
    tries: float
    on_metal: float
    metal: float


def measure(images: int, seed: int, size: int, defects: int, differences: Sequence[float]) -> list[Placement]:
    """Plant defects of rendered images into the normal ones among them.

    Args:
        images: rendered images.
        seed: of the renderer, and of what is planted.
        size: side of the images in pixels.
        defects: to plant of each class.
        differences: values of ``--plant-difference``.

    Raises:
        ValueError: none of the images is normal, or none has a defect that can be planted.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder) / 'data'
        for _ in render_dataset(root, {SPLIT: images}, size, seed):
            pass
        samples = read_dataset(root, SPLIT, []).samples
        donors = find_donors(samples)
        normal = [sample for sample in samples if not defect_mask(sample.class_ids()).any()]
        if not donors or not normal:
            raise ValueError(f'--images {images}: none is normal, or has a defect to plant; render more')
        metal = {sample.name: metal_of(seed, SPLIT, samples.index(sample), size) for sample in normal}
        return [_plant(donors, normal, metal, defects, difference, seed) for difference in differences]


def _plant(
    donors: Sequence[Donor],
    normal: Sequence[Sample],
    metal: dict[str, np.ndarray],
    defects: int,
    difference: float,
    seed: int,
) -> Placement:
    """Plant each defect into an image of its own; images are used in turn."""
    rng, cutter = np.random.default_rng(seed), Cutter()
    classes = sorted({donor.class_id for donor in donors})
    planted = tries = inside = 0
    for number in range(defects * len(classes)):
        sample = normal[number % len(normal)]
        pool = [donor for donor in donors if donor.class_id == classes[number % len(classes)]]
        occupied = sample.class_ids() != NORMAL
        for _ in range(TRIES):
            tries += 1
            patch = cutter.cut(pool[rng.integers(len(pool))]).turned(int(rng.integers(TURNS)))
            place = find_place(cutter.image(sample), occupied, patch, difference, rng)
            if place is not None:
                (left, top), (height, width) = place, patch.ids.shape
                under = cut(metal[sample.name], (left, top, left + width, top + height))
                planted += 1
                inside += bool(under[patch.ids != NORMAL].all())
                break
    wanted = defects * len(classes)
    share = 100 * float(np.mean([mask.mean() for mask in metal.values()]))
    return Placement(difference, wanted, planted, tries / wanted, 100 * inside / max(1, planted), share)


def table(rows: Sequence[Placement]) -> str:
    """The measure as Markdown."""
    titles = ['Difference', 'Planted', 'Tries each', 'All on metal', 'Metal in the images']
    lines = [
        [
            f'{row.difference:g}',
            f'{row.planted} of {row.wanted}',
            f'{row.tries:.2f}',
            f'{row.on_metal:.1f} %',
            f'{row.metal:.0f} %',
        ]
        for row in rows
    ]
    return '\n'.join(table_lines(titles, lines))
