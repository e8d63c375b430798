"""What is kept of each image, and its sums over a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from .levels import LEVELS, to_levels
from .matching import SIZE_NAMES, Match, Rule, find_defects, match
from .sweep import sweep


@dataclass(frozen=True)
class ClassCounts:
    """Counts of one class in one image.

    Attributes:
        defects: (len(SIZE_NAMES),): labelled defects by size.
        sweep: at every threshold.
        argmax: of the pixels where the class is the most probable one.
        applied: at a given threshold; None: there is none.
        positives, negatives: (LEVELS + 1,): pixels of the class, and of other classes, at each level.
        pixels: (3,): pixels predicted (argmax) and labelled as the class, predicted, and labelled.
    """

    defects: np.ndarray
    sweep: Match
    argmax: Match
    applied: Match | None
    positives: np.ndarray
    negatives: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class ImageCounts:
    """Counts of one image, about 10 kB a class.

    Attributes:
        classes: of each foreground class.
        defective: whether any pixel has a foreground class.
        score: highest probability in the image of not being normal.
        normal: (LEVELS + 1,): normal pixels at each level of that probability.
        overlap: (LEVELS + 1,): share of each labelled region that reaches each level, summed over the regions of any
            foreground class, which are 8-connected.
        regions: their number.
    """

    classes: tuple[ClassCounts, ...]
    defective: bool
    score: float
    normal: np.ndarray
    overlap: np.ndarray
    regions: int


@dataclass(frozen=True)
class Maps:
    """What the components of an image are counted from; all on the CPU.

    Attributes:
        levels: (C, H, W), uint8: of each foreground class, then of not being normal.
        predicted, label: (H, W), uint8: ids; 0 also where the label is ``ignore_index`` or of no class.
        marked: (C - 1, H, W), bool: where the operating point marks each class; None: there is none.
        histograms: (2 * C - 1, LEVELS + 1): pixels at each level, of each foreground class and of all others in turn,
            then of the normal ones.
        score: see :class:`ImageCounts`.
    """

    levels: np.ndarray
    predicted: np.ndarray
    label: np.ndarray
    marked: np.ndarray | None
    histograms: np.ndarray
    score: float


def read_maps(
    probability: Tensor, predicted: Tensor, label: Tensor, ignore_index: int, marked: Tensor | None = None
) -> Maps:
    """Levels and histograms of one image, computed on the device of ``probability``.

    Args:
        probability: (C, H, W), class 0 the normal one.
        predicted: (H, W): ids of the most probable class.
        label: (H, W): ids; pixels of ``ignore_index`` are neither labelled nor predicted as anything.
        ignore_index: see there.
        marked: (C - 1, H, W), bool: where the operating point marks each class.
    """
    count = len(probability)
    used = label != ignore_index
    anomaly = (1 - probability[0]).nan_to_num(0.0).masked_fill_(~used, 0)
    levels = to_levels(torch.cat([probability[1:], anomaly[None]])).masked_fill_(~used, 0)
    # class by class, which bounds the memory
    histograms = [_histograms(levels[index - 1], label == index, used) for index in range(1, count)]
    histograms.append(_histograms(levels[-1], label == 0, used)[:1])
    ids = torch.stack([predicted.masked_fill(~used, 0), label.masked_fill(~used | (label >= count), 0)])
    planes = [levels, ids.to(torch.uint8), *([] if marked is None else [(marked & used).to(torch.uint8)])]
    # everything in two transfers
    planes = torch.cat(planes).cpu().numpy()
    numbers = torch.cat([*histograms, anomaly.max().view(torch.int32).expand(1, LEVELS + 1)]).cpu().numpy()
    return Maps(
        levels=planes[:count],
        predicted=planes[count],
        label=planes[count + 1],
        marked=None if marked is None else planes[count + 2 :].view(bool),
        histograms=numbers[:-1],
        score=float(numbers[-1].view(np.float32)[0]),
    )


def count_image(maps: Maps, rule: Rule) -> ImageCounts:
    """Count the components of one image."""
    classes, masks = [], maps.marked
    for index in range(1, len(maps.levels)):
        labelled, predicted = maps.label == index, maps.predicted == index
        defects = find_defects(labelled, rule)
        at_point = None if masks is None else match(np.ascontiguousarray(masks[index - 1]), defects, rule)
        classes.append(
            ClassCounts(
                defects=defects.count_by_bin,
                sweep=_compact(sweep(maps.levels[index - 1], defects, rule)),
                argmax=match(predicted, defects, rule),
                applied=at_point,
                positives=maps.histograms[2 * index - 2],
                negatives=maps.histograms[2 * index - 1],
                pixels=np.array([np.count_nonzero(m) for m in (labelled & predicted, predicted, labelled)]),
            )
        )
    foreground = maps.label > 0
    overlap, regions = _region_overlap(maps.levels[-1], foreground)
    return ImageCounts(
        tuple(classes), bool(foreground.any()), maps.score, maps.histograms[-1], overlap, regions
    )


def _histograms(levels: Tensor, of_class: Tensor, used: Tensor) -> Tensor:
    """Number of pixels at each level, of the class and of others, int32 (2, LEVELS + 1); only where ``used``."""
    bins = LEVELS + 1
    # all others are counted in one bin after the last
    places = (levels.to(torch.int32) + bins * ~of_class).masked_fill_(~used, 2 * bins)
    return torch.bincount(places.flatten(), minlength=2 * bins + 1)[:-1].to(torch.int32).view(2, bins)


def _compact(result: Match) -> Match:
    return Match(*(part.astype(np.int32) for part in (result.found, result.hits, result.false_alarms)))


def _region_overlap(levels: np.ndarray, foreground: np.ndarray) -> tuple[np.ndarray, int]:
    """See ``overlap`` and ``regions`` of :class:`ImageCounts`."""
    if not foreground.any():
        return np.zeros(LEVELS + 1, np.float32), 0
    count, ids = cv2.connectedComponents(foreground.view(np.uint8), connectivity=8)
    region = ids[foreground]
    weight = 1 / np.bincount(region, minlength=count)[region]
    at_level = np.bincount(levels[foreground], weights=weight, minlength=LEVELS + 1)
    return at_level[::-1].cumsum()[::-1].astype(np.float32), count - 1


def stack_matches(results: Sequence[Match]) -> Match:
    """Results of several images, with a first dimension for the images."""
    parts = zip(*((one.found, one.hits, one.false_alarms) for one in results))
    return Match(*(np.stack(part) for part in parts))


def sum_match(stacked: Match) -> Match:
    """The sum over the images of :func:`stack_matches`."""
    return Match(*(part.sum(axis=0) for part in (stacked.found, stacked.hits, stacked.false_alarms)))


def size_shares(found: np.ndarray, defects: np.ndarray) -> dict[str, np.ndarray]:
    """Percent of the defects found, of all (key ``''``) and by size; NaN where there are none of a size.

    Args:
        found: (len(SIZE_NAMES),) or (len(SIZE_NAMES), K).
        defects: (len(SIZE_NAMES),).
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        shares = {'': 100 * found.sum(axis=0) / defects.sum()}
        shares.update({name: 100 * found[i] / defects[i] for i, name in enumerate(SIZE_NAMES)})
    return shares
