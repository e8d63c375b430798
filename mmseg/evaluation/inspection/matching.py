"""Labelled defects of an image, and the matching of predicted components with them.

A predicted component is a detection if it has at least ``min_area`` pixels. It is a hit if at least ``min_overlap`` of
its pixels lie near labelled pixels of its class, at most ``tolerance`` px away in x and y; else it is a false alarm. A
defect is found if a hit has a pixel near it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

#: Upper limits of the defect sizes in px; a last bin holds the larger ones.
SIZE_LIMITS = (5, 32, 256)
SIZE_NAMES = ('to5', 'to32', 'to256', 'large')


@dataclass(frozen=True)
class Rule:
    """How predicted and labelled components are matched.

    Attributes:
        min_area: smallest number of pixels of a defect and of a detection.
        tolerance: largest distance in x and in y, in px, at which a predicted pixel is near a labelled one.
        min_overlap: smallest share of a detection's pixels that are near labelled ones, 0 to 1.
    """

    min_area: int = 1
    tolerance: int = 3
    min_overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.min_area < 1:
            raise ValueError(f'InspectionMetric: min_area={self.min_area}; expected a number of px from 1')
        if self.tolerance < 0:
            raise ValueError(f'InspectionMetric: tolerance={self.tolerance}; expected a number of px from 0')
        if not 0 < self.min_overlap <= 1:
            raise ValueError(
                f'InspectionMetric: min_overlap={self.min_overlap}; expected a share above 0, up to 1'
            )

    def is_hit(self, area: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Whether components of ``area`` px, ``near`` of them near labelled ones, are hits."""
        return (area >= self.min_area) & (near >= self.min_overlap * area)


@dataclass(frozen=True)
class Defects:
    """The labelled defects of one class in one image.

    Attributes:
        near: (H, W), bool: pixels near any labelled pixel of the class, also of one below ``min_area``.
        bins: (D,): the size bin of each defect, an index of ``SIZE_NAMES``.
        owner, pixel: (P,): pixel ``pixel[i]``, an index of the flat image, is near defect ``owner[i]``.
    """

    near: np.ndarray
    bins: np.ndarray
    owner: np.ndarray
    pixel: np.ndarray

    @property
    def count_by_bin(self) -> np.ndarray:
        """Number of defects in each size bin, (len(SIZE_NAMES),)."""
        return np.bincount(self.bins, minlength=len(SIZE_NAMES))


def find_defects(labelled: np.ndarray, rule: Rule) -> Defects:
    """The defects in a mask (H, W), bool: its 8-connected components of at least ``min_area`` px."""
    none = np.zeros(0, np.int64)
    mask = labelled.view(np.uint8)
    if not mask.any():
        return Defects(labelled, none, none, none)
    height, width = mask.shape
    kernel = np.ones((2 * rule.tolerance + 1,) * 2, np.uint8)
    near = cv2.dilate(mask, kernel).view(bool)
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    owners, pixels = [], []
    defects = [index for index in range(1, len(areas)) if areas[index] >= rule.min_area]
    for number, index in enumerate(defects):
        left, top, box_width, box_height = stats[index, : cv2.CC_STAT_AREA]
        x, y = max(0, left - rule.tolerance), max(0, top - rule.tolerance)
        right = min(width, left + box_width + rule.tolerance)
        bottom = min(height, top + box_height + rule.tolerance)
        crop = (ids[y:bottom, x:right] == index).view(np.uint8)
        rows, columns = np.nonzero(cv2.dilate(crop, kernel))
        pixels.append((rows + y) * width + columns + x)
        owners.append(np.full(len(rows), number))
    bins = np.searchsorted(SIZE_LIMITS, areas[defects])
    return Defects(near, bins, np.concatenate([none, *owners]), np.concatenate([none, *pixels]))


@dataclass(frozen=True)
class Match:
    """Result of one image and class at one threshold, or at K thresholds.

    Attributes:
        found: (len(SIZE_NAMES),) or (len(SIZE_NAMES), K): number of defects found, by size.
        hits, false_alarms: () or (K,): number of detections of each kind.
    """

    found: np.ndarray
    hits: np.ndarray
    false_alarms: np.ndarray


def match(predicted: np.ndarray, defects: Defects, rule: Rule) -> Match:
    """Match the 8-connected components of a predicted mask (H, W), bool, with the defects of its class."""
    if not predicted.any():
        zero = np.zeros((), np.int64)
        return Match(np.zeros(len(SIZE_NAMES), np.int64), zero, zero)
    _, ids, stats, _ = cv2.connectedComponentsWithStats(predicted.view(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0  # the background
    near = np.bincount(ids[defects.near], minlength=len(area))
    hit = rule.is_hit(area, near)
    is_found = np.zeros(len(defects.bins), bool)
    is_found[defects.owner[hit[ids.ravel()[defects.pixel]]]] = True
    found = np.bincount(defects.bins[is_found], minlength=len(SIZE_NAMES))
    return Match(found, hit.sum(), ((area >= rule.min_area) & ~hit).sum())
