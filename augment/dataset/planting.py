"""Normal images with defects of other images: what is put where, and the images that come of it.

Without ``--per-class``, image number k depends on the seed and k alone, so that a larger ``--ratio`` or ``--limit`` contains
a smaller one's.
"""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from augment.config import AugmentConfig
from augment.dataset.components import class_name
from augment.dataset.donors import TURNS, Cutter, Donor, Patch, count_defects, find_donors
from augment.dataset.packed import PackedArray
from augment.dataset.placing import find_place
from augment.dataset.reading import (
    IMAGES,
    NORMAL,
    Dataset,
    Sample,
    defect_mask,
    encode_label,
    refuse_taken_names,
    source_file,
)
from augment.dataset.regions import Box, cut
from augment.dataset.rows import PLANTED, PLANTED_LABELS, PlantedDefect, Planting
from augment.files import write_bytes, write_png

TRIES = 30
"""Donors that are tried for each defect, each in one window of the image."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Placed:
    """A donor, how it is turned, and the (left, top) of its patch."""

    donor: Donor
    turn: int
    position: tuple[int, int]

    def patch(self, cutter: Cutter) -> Patch:
        """What is planted."""
        return cutter.cut(self.donor).turned(self.turn)

    def box(self, patch: Patch) -> Box:
        """Where ``patch`` comes."""
        (left, top), (height, width) = self.position, patch.ids.shape
        return left, top, left + width, top + height


@dataclass(frozen=True, kw_only=True)
class PlantedSample(Sample):
    """A normal image with planted defects; ``packed_label`` is the label with them.

    Name, pixels and label are those of the new image, all other fields those of ``base``.
    """

    base: Sample
    placed: tuple[Placed, ...]
    planting: Planting
    cutter: Cutter = field(compare=False, repr=False)

    @property
    def source_name(self) -> str:
        """Name of the normal image."""
        return self.base.name

    def pixels(self) -> np.ndarray:
        """The image with the defects ``(H, W, 3)`` uint8 RGB."""
        image = self.cutter.image(self.base).astype(np.float32)
        for item in self.placed:
            patch = item.patch(self.cutter)
            cut(image, item.box(patch))[...] += patch.added
        return np.rint(image).clip(0, 255).astype(np.uint8)

    def pixels_id(self) -> str:
        """SHA-256 of the pixels."""
        return hashlib.sha256(self.pixels()).hexdigest()

    def write_label(self, target) -> None:
        """Write the label with the defects to ``target``."""
        write_bytes(target, encode_label(self.class_ids()))

    def write_before_edit(self, root) -> None:
        """Write image and label into ``review``, where ``planting`` says."""
        write_png(root / self.planting.image, self.pixels())
        self.write_label(root / self.planting.label)


def plant(config: AugmentConfig, data: Dataset) -> list[PlantedSample]:
    """The planted images that ``config`` asks for, also those in which no defect found a place.

    Raises:
        ValueError: There is no normal image, no defect to plant, or none of a class that is asked for.
    """
    usable = [sample for sample in data.samples if not sample.problem]
    normal = [sample for sample in usable if not defect_mask(sample.class_ids()).any()]
    donors = find_donors(usable)
    for what, items in (
        ('normal image: no label is without a defect', normal),
        ('defect that can be planted', donors),
    ):
        if not items:
            raise ValueError(
                f'mode: {config.mode}, but the split {data.split} of {data.root} has no {what}; use --mode edit'
            )
    by_class: dict[int, list[Donor]] = {}
    for donor in donors:
        by_class.setdefault(donor.class_id, []).append(donor)
    count = math.ceil(config.ratio * len(usable)) if config.ratio else len(normal)
    if config.limit:
        count = min(count, config.limit)
    rates = rates_per_image(config, usable, by_class, count)
    order = np.random.default_rng(config.seed).permutation(len(normal))
    planter, samples, missing = Planter(config, data, by_class), [], 0
    for k in range(count):
        base = normal[order[k % len(normal)]]
        classes = list(classes_of_image(rates, k))
        samples.append(
            planter.image(base, 1 + k // len(normal), classes, np.random.default_rng([config.seed, k]))
        )
        missing += len(classes) - len(samples[-1].placed)
    folder = data.root / IMAGES / data.split
    refuse_taken_names({s.name for s in data.samples}, [s.name for s in samples], config.words, folder)
    if missing:
        log.warning(
            '%d defects found no place that fits (--plant-difference %g)', missing, config.plant_difference
        )
    return samples


def rates_per_image(
    config: AugmentConfig, usable: list[Sample], by_class: dict[int, list[Donor]], images: int
) -> dict[int, float]:
    """Mean number of defects of each class in a planted image."""
    wanted = {class_id: count / images for class_id, count in config.counts().items()}
    if missing := [class_id for class_id, rate in wanted.items() if rate and class_id not in by_class]:
        raise ValueError(
            f'per-class: the split has no defect of class {missing[0]} that can be planted; it has {sorted(by_class)}'
        )
    if wanted:
        return wanted
    counts: Counter[int] = sum((count_defects(sample.class_ids()) for sample in usable), Counter())
    return {class_id: counts[class_id] / len(usable) for class_id in sorted(by_class)}


def classes_of_image(rates: dict[int, float], k: int) -> Iterator[int]:
    """Class ids of the defects of image ``k``: over all images, each class has its mean number; one defect at least."""
    counts = {c: math.floor(rate * (k + 1)) - math.floor(rate * k) for c, rate in sorted(rates.items())}
    if not any(counts.values()):
        counts[max(rates, key=lambda c: (rates[c], -c))] = 1
    for class_id, count in counts.items():
        yield from [class_id] * count


class Planter:
    """Puts defects of ``by_class`` into normal images of ``data``."""

    def __init__(self, config: AugmentConfig, data: Dataset, by_class: dict[int, list[Donor]]) -> None:
        self.config, self.data, self.by_class, self.cutter = config, data, by_class, Cutter()

    def image(self, base: Sample, number: int, classes: list[int], rng: np.random.Generator) -> PlantedSample:
        """Image number ``number`` that is made of ``base``, with a defect of each of ``classes`` that finds a place."""
        label, image = base.class_ids(), self.cutter.image(base)
        placed = []
        for class_id in classes:
            item = self.place(image, label != NORMAL, self.by_class[class_id], rng)
            if item is not None:
                patch = item.patch(self.cutter)
                target = cut(label, item.box(patch))
                target[patch.ids != NORMAL] = patch.ids[patch.ids != NORMAL]
                placed.append(item)
        name = f'{base.name}__plant{number}'
        file = f'{self.data.split}/{name}.png'
        planting = Planting(
            image=f'{PLANTED}/{file}',
            label=f'{PLANTED_LABELS}/{file}',
            label_sha256=hashlib.sha256(encode_label(label)).hexdigest(),
            defects=[self.record(item) for item in placed],
        )
        return PlantedSample(
            name=name,
            image=base.image,
            label=base.label,
            image_sha256=base.image_sha256,
            label_sha256=base.label_sha256,
            packed_label=PackedArray.pack(label),
            value_range=base.value_range,
            base=base,
            placed=tuple(placed),
            planting=planting,
            cutter=self.cutter,
        )

    def place(
        self, image: np.ndarray, occupied: np.ndarray, donors: list[Donor], rng: np.random.Generator
    ) -> Placed | None:
        """A donor with a place for it; None if none of TRIES finds one."""
        for _ in range(TRIES):
            donor, turn = donors[rng.integers(len(donors))], int(rng.integers(TURNS))
            patch = self.cutter.cut(donor).turned(turn)
            position = find_place(image, occupied, patch, self.config.plant_difference, rng)
            if position is not None:
                return Placed(donor, turn, position)
        return None

    def record(self, item: Placed) -> PlantedDefect:
        """What the manifest says about a planted defect."""
        donor = item.donor
        assert donor.sample.label_sha256 is not None
        return PlantedDefect(
            defect=class_name(donor.class_id),
            area=int((self.cutter.cut(donor).ids != NORMAL).sum()),
            donor=source_file(self.data.split, donor.sample),
            donor_sha256=donor.sample.image_sha256,
            donor_label_sha256=donor.sample.label_sha256,
            donor_box=list(donor.box),
            turn=item.turn,
            position=list(item.position),
        )
