"""Plan of a run: which images are edited in which regions, and which images are edited together.

Batches are planned from the whole list, never from what remains of it, and do not depend on the number of processes:
so an image has the same neighbours, and the same rounding, in every run that makes it.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from augment.config import PASTE, AugmentConfig
from augment.dataset.donors import count_defects
from augment.dataset.manifest import Manifest
from augment.dataset.planting import PlantedSample, plant
from augment.dataset.reading import Dataset, Sample, edit_name, image_file
from augment.dataset.regions import Region, plan_regions
from augment.dataset.rows import Planting


@dataclass(frozen=True)
class PlannedImage:
    """One image and the regions in which it is edited, largest defect first."""

    sample: Sample
    regions: list[Region]


@dataclass(frozen=True)
class Plan:
    """Groups of images edited together, the images with nothing to edit, and those that cannot be used."""

    groups: list[list[PlannedImage]]
    empty: list[Sample]
    unusable: list[Sample]

    def images(self) -> list[PlannedImage]:
        """The images to edit, group after group."""
        return [image for group in self.groups for image in group]

    def samples(self) -> list[Sample]:
        """The samples of ``images()``."""
        return [image.sample for image in self.images()]

    def plantings(self) -> dict[str, Planting]:
        """What is planted, by ``Planting.image``."""
        samples = [*self.samples(), *self.empty]
        return {s.planting.image: s.planting for s in samples if isinstance(s, PlantedSample)}


def make_plan(config: AugmentConfig, data: Dataset) -> Plan:
    """Group the images to edit by working size, a few batches of at most ``batch_size`` regions together.

    They are the usable images of ``data``, or with the modes ``plant`` and ``paste`` normal ones with planted defects;
    for ``paste`` they have no regions.

    Raises:
        ValueError: Nothing can be planted.
    """
    unusable = [s for s in data.samples if s.problem]
    if config.mode == PASTE:
        planted = plant(config, data)
        images = [PlannedImage(s, []) for s in planted if s.placed]
        starts = range(0, len(images), config.batch_size)
        groups = [images[start : start + config.batch_size] for start in starts]
        return Plan(groups, [s for s in planted if not s.placed], unusable)
    usable = [s for s in data.samples if not s.problem]
    samples = usable if config.mode == 'edit' else plant(config, data)
    planned = [PlannedImage(s, plan_regions(s.class_ids(), config)) for s in samples]
    chosen = [image for image in planned if image.regions]
    if config.mode == 'edit':
        chosen = choose(chosen, config, len(usable))
    empty = [image.sample for image in planned if not image.regions]
    return Plan(grouped(chosen, config), empty, unusable)


def choose(images: list[PlannedImage], config: AugmentConfig, originals: int) -> list[PlannedImage]:
    """The images that ``limit``, ``ratio`` and ``per_class`` ask for.

    They are the first of a shuffle by ``seed``, so that more of them contain fewer. With ``per_class``, images are taken as
    long as they have a defect of a class of which there are not enough.
    """
    missing = Counter(config.counts())
    counts = [count for count in (config.limit, math.ceil(config.ratio * originals)) if count]
    drawn = np.random.default_rng(config.seed).permutation(len(images))[: min(counts, default=None)]
    if missing:
        needed = []
        for i in drawn:
            defects = count_defects(images[i].sample.class_ids())
            if any(missing[class_id] > 0 for class_id in defects):
                missing.subtract(defects)
                needed.append(i)
        drawn = needed
    return [images[i] for i in sorted(drawn)]


MOST_BATCHES = 4
"""Batches in a group: an image that is finished early makes place for the next one of its group."""

LEAST_GROUPS = 16
"""Groups of more than one batch are made only if there are so many of them, for several processes to share."""


def grouped(chosen: list[PlannedImage], config: AugmentConfig) -> list[list[PlannedImage]]:
    """Images of the same working sizes in groups of at most ``group_size`` regions, or one image."""
    group_size = config.batch_size * batches_in_group(sum(len(i.regions) for i in chosen), config.batch_size)
    buckets: dict[tuple, list[PlannedImage]] = {}
    for image in chosen:
        buckets.setdefault(tuple(sorted({r.size for r in image.regions})), []).append(image)
    groups: list[list[PlannedImage]] = []
    for bucket in buckets.values():
        room = 0
        for image in bucket:
            if len(image.regions) > room:
                groups.append([])
                room = group_size
            groups[-1].append(image)
            room -= len(image.regions)
    return groups


def batches_in_group(regions: int, batch_size: int) -> int:
    """Batches that a group consists of, for so many regions in all."""
    return min(max(regions // (LEAST_GROUPS * batch_size), 1), MOST_BATCHES)


def edit_files(split: str, samples: Iterable[Sample], words: Iterable[str]) -> list[str]:
    """Paths of the edits of ``samples`` with ``words`` relative to the output folder."""
    words = list(words)
    return [image_file(split, edit_name(sample.name, word)) for sample in samples for word in words]


def pending_groups(plan: Plan, config: AugmentConfig, manifest: Manifest) -> list[int]:
    """Numbers of the groups in which an edit is missing."""
    return [
        number
        for number, group in enumerate(plan.groups)
        if not all(map(manifest.is_done, edit_files(config.split, [i.sample for i in group], config.words)))
    ]
