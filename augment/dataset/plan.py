"""Plan of a run: which images are edited in which regions, and which images are edited together.

Batches are planned from the whole list, never from what remains of it, and do not depend on the number of processes:
so an image has the same neighbours, and the same rounding, in every run that makes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from augment.config import AugmentConfig
from augment.dataset.manifest import Manifest
from augment.dataset.reading import Dataset, Sample, edit_name, image_file
from augment.dataset.regions import Region, plan_regions


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


def make_plan(config: AugmentConfig, data: Dataset) -> Plan:
    """Group the usable images of ``data`` by working size into batches of at most ``batch_size`` regions.

    With ``limit`` the images are the first of a shuffle by ``seed``, so a larger limit contains a smaller one's.
    """
    usable = [s for s in data.samples if not s.problem]
    planned = [PlannedImage(s, plan_regions(s.class_ids(), config)) for s in usable]
    chosen = [image for image in planned if image.regions]
    if config.limit:
        drawn = np.random.default_rng(config.seed).permutation(len(chosen))[: config.limit]
        chosen = [chosen[i] for i in sorted(drawn)]
    buckets: dict[tuple, list[PlannedImage]] = {}
    for image in chosen:
        buckets.setdefault(tuple(sorted({r.size for r in image.regions})), []).append(image)
    groups: list[list[PlannedImage]] = []
    for bucket in buckets.values():
        room = 0
        for image in bucket:
            if len(image.regions) > room:
                groups.append([])
                room = config.batch_size
            groups[-1].append(image)
            room -= len(image.regions)
    empty = [image.sample for image in planned if not image.regions]
    return Plan(groups, empty, [s for s in data.samples if s.problem])


def edit_files(split: str, samples: Iterable[Sample], words: Iterable[str]) -> list[str]:
    """Paths of the edits of ``samples`` with ``words`` relative to the output folder."""
    words = list(words)
    return [image_file(split, edit_name(sample.name, word)) for sample in samples for word in words]


def pending_groups(plan: Plan, config: AugmentConfig, manifest: Manifest) -> list[int]:
    """Numbers of the groups in which an edit is missing."""
    return [
        number
        for number, group in enumerate(plan.groups)
        if not all(map(manifest.is_done, edit_files(config.split, [i.sample for i in group], config.word)))
    ]
