"""Defects of the training split, cut out with their label and what they add to their surface.

A defect is a part of the label whose pixels are at most 2 * JOIN apart, so that specks that belong together stay together.
Its class is the one of most of its pixels.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from augment.dataset.components import EIGHT_CONNECTED
from augment.dataset.reading import IGNORED, NORMAL, Sample, defect_mask
from augment.dataset.regions import Box
from augment.dataset.surface import surface_of

JOIN = 4
"""Pixels by which a label grows to join what belongs together."""

SURROUNDINGS = 6
"""Pixels around a defect that are cut out with it, and compared with the place where it is planted."""

LARGEST_SHARE = 0.5
"""Defects whose surroundings are longer than this share of the shorter side of their image are not planted."""

TURNS = 8
"""Quarter turns, and those mirrored."""


@dataclass(frozen=True, eq=False)
class Donor:
    """Defect number ``part`` of ``sample``, in ``box``, which contains its surroundings."""

    sample: Sample
    part: int
    box: Box
    class_id: int


@dataclass(frozen=True, eq=False)
class Patch:
    """A defect cut out, all of the size of its box.

    Attributes:
        ids: class ids ``(h, w)`` uint8 of the defect alone.
        surface: ``(h, w, 3)`` uint8 without the defect.
        added: ``(h, w, 3)`` float32, what the defect adds to the surface; 0 away from it.
        near: ``(h, w)`` bool, the defect and its surroundings.
    """

    ids: np.ndarray
    surface: np.ndarray
    added: np.ndarray
    near: np.ndarray

    def turned(self, turn: int) -> 'Patch':
        """Turned by ``turn % 4`` quarters, and from 4 on mirrored."""
        arrays = (np.rot90(a, turn % 4) for a in (self.ids, self.surface, self.added, self.near))
        return Patch(*(np.ascontiguousarray(a[:, ::-1] if turn >= 4 else a) for a in arrays))


def find_donors(samples: Iterable[Sample]) -> list[Donor]:
    """The defects of usable ``samples`` that can be planted elsewhere, in the order of the samples.

    Defects whose surroundings reach the border of the image, hold ignored pixels or are too large are left out.
    """
    return [donor for sample in samples if not sample.problem for donor in donors_of(sample)]


def donors_of(sample: Sample) -> Iterator[Donor]:
    """The defects of one sample that can be planted elsewhere."""
    label = sample.class_ids()
    if not defect_mask(label).any():
        return
    height, width = label.shape
    parts, stats = _parts(label)
    for number in range(1, len(stats)):
        left, top, right, bottom = _box(stats[number])
        if left < 0 or top < 0 or right > width or bottom > height:
            continue
        if max(right - left, bottom - top) > LARGEST_SHARE * min(height, width):
            continue
        window = np.s_[top:bottom, left:right]
        inside = label[window][(parts[window] == number) & defect_mask(label[window])]
        if (label[window] == IGNORED).any():
            continue
        yield Donor(sample, number, (left, top, right, bottom), int(np.bincount(inside).argmax()))


def _parts(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the defect at each pixel ``(H, W)``, 0 for none, and OpenCV's statistics of each."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * JOIN + 1,) * 2)
    joined = cv2.dilate(defect_mask(label).astype(np.uint8), disc)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=EIGHT_CONNECTED)
    return parts, stats


def _box(stats: np.ndarray) -> Box:
    """Box of a part with its surroundings; it may reach beyond the image."""
    x, y, w, h = (int(v) for v in stats[: cv2.CC_STAT_HEIGHT + 1])
    more = SURROUNDINGS - JOIN
    return x - more, y - more, x + w + more, y + h + more


def count_defects(label: np.ndarray) -> Counter[int]:
    """How many defects of each class id a label has."""
    if not defect_mask(label).any():
        return Counter()
    parts, stats = _parts(label)
    defect = defect_mask(label)
    ids, numbers = label[defect], parts[defect]
    return Counter(int(np.bincount(ids[numbers == number]).argmax()) for number in range(1, len(stats)))


class Cutter:
    """Cuts defects out of their images; the last images and defects are kept."""

    def __init__(self, images: int = 32, defects: int = 512) -> None:
        self._image = lru_cache(maxsize=images)(Sample.pixels)
        self.cut = lru_cache(maxsize=defects)(self._cut)

    def image(self, sample: Sample) -> np.ndarray:
        """The image of a sample ``(H, W, 3)`` uint8; not to be written to."""
        return self._image(sample)

    def _cut(self, donor: Donor) -> Patch:
        """The defect as it is in its image."""
        left, top, right, bottom = donor.box
        window = np.s_[top:bottom, left:right]
        label = donor.sample.class_ids()
        own, label = _parts(label)[0][window] == donor.part, label[window]
        defect = defect_mask(label)
        pixels = self.image(donor.sample)[window]
        surface = surface_of(pixels, distance_transform_edt(~defect))
        added = np.where(own[..., None], pixels.astype(np.float32) - surface, 0)
        ids = np.where(own & defect, label, NORMAL).astype(np.uint8)
        return Patch(ids, surface, added, distance_transform_edt(ids == NORMAL) <= SURROUNDINGS)
