"""What a run will do: which pictures are edited, and which of them go together.

Batches are planned from the whole list, never from what is left of it, and do not depend on how many processes
there are: so a picture meets the same neighbours, and the same rounding, in every run that makes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from augment.config import AugmentConfig
from augment.dataset.manifest import Manifest
from augment.dataset.reading import Dataset, Sample, decode_label, edit_name, image_file
from augment.dataset.regions import plan_regions


@dataclass(frozen=True)
class Plan:
    """Groups of pictures edited together, and the pictures that hold nothing to edit."""

    groups: list[list[Sample]]
    empty: list[Sample]
    unusable: list[Sample]
    regions: int

    def pictures(self) -> list[Sample]:
        """The pictures to edit, group after group."""
        return [sample for group in self.groups for sample in group]


def make_plan(config: AugmentConfig, data: Dataset) -> Plan:
    """Group the usable pictures of ``data`` by working size into batches of at most ``batch_size`` regions.

    With ``limit`` the pictures are the first of a shuffle by ``seed``, so a larger limit keeps a smaller one's.
    """
    usable = [s for s in data.samples if not s.problem]
    sizes = {
        s.name: [r.size for r in plan_regions(decode_label(s.label.read_bytes()), config)] for s in usable
    }
    chosen = [s for s in usable if sizes[s.name]]
    if config.limit:
        drawn = np.random.default_rng(config.seed).permutation(len(chosen))[: config.limit]
        chosen = [chosen[i] for i in sorted(drawn)]
    buckets: dict[tuple, list[Sample]] = {}
    for sample in chosen:
        buckets.setdefault(tuple(sorted(set(sizes[sample.name]))), []).append(sample)
    groups: list[list[Sample]] = []
    for bucket in buckets.values():
        room = 0
        for sample in bucket:
            need = len(sizes[sample.name])
            if need > room:
                groups.append([])
                room = config.batch_size
            groups[-1].append(sample)
            room -= need
    return Plan(
        groups,
        [s for s in usable if not sizes[s.name]],
        [s for s in data.samples if s.problem],
        sum(len(sizes[s.name]) for s in chosen),
    )


def edit_files(split: str, samples: Iterable[Sample], words: Iterable[str]) -> list[str]:
    """Paths of the edits of ``samples`` with ``words`` relative to the output folder."""
    words = list(words)
    return [image_file(split, edit_name(sample.name, word)) for sample in samples for word in words]


def pending_groups(plan: Plan, config: AugmentConfig, manifest: Manifest) -> list[int]:
    """Numbers of the groups in which an edit is missing."""
    return [
        number
        for number, group in enumerate(plan.groups)
        if not all(map(manifest.is_done, edit_files(config.split, group, config.word)))
    ]
