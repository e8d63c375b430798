"""Scalars, curves and a table of a dataset from the counts of its images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .choosing import share_interval
from .counts import ImageCounts, size_shares, stack_matches, sum_match
from .levels import LEVELS, thresholds
from .matching import SIZE_NAMES, Match, Rule
from .operating_point import OperatingPoint
from .pooling import SweepCounts
from .ranking import average_precision, image_figures, per_region_overlap


@dataclass(frozen=True)
class Inspection:
    """The results of a dataset.

    Attributes:
        scalars: values by log key.
        point: the operating point that was chosen, or applied; None: neither.
        content: what is written to ``inspection.json``: curves, operating point, intervals.
    """

    scalars: dict[str, float]
    point: OperatingPoint | None
    content: dict[str, Any]


@dataclass(frozen=True)
class _Class:
    """All images of one class."""

    name: str
    defects: np.ndarray  # (N, sizes)
    sweep: Match
    argmax: Match
    applied: Match | None
    precision: float


def _gather(images: Sequence[ImageCounts], names: Sequence[str]) -> list[_Class]:
    gathered = []
    for index, name in enumerate(names):
        counts = [image.classes[index] for image in images]
        applied = None if counts[0].applied is None else stack_matches([one.applied for one in counts])
        positives, negatives = (
            np.sum([getattr(one, kind) for one in counts], axis=0, dtype=np.int64)
            for kind in ('positives', 'negatives')
        )
        gathered.append(
            _Class(
                name,
                np.stack([one.defects for one in counts]),
                stack_matches([one.sweep for one in counts]),
                stack_matches([one.argmax for one in counts]),
                applied,
                average_precision(positives, negatives),
            )
        )
    return gathered


def choose(images: Sequence[ImageCounts], names: Sequence[str], rule: Rule, target: float) -> OperatingPoint:
    """The operating point of a validation set.

    Args:
        images: counts of its images.
        names: of the foreground classes.
        rule: how components were matched.
        target: most false alarms per image that are allowed in each class.
    """
    return SweepCounts.of(images, names, rule).choose(target)


def _match_scalars(
    prefix: str, name: str, total: Match, defects: np.ndarray, images: int
) -> dict[str, float]:
    shares = size_shares(total.found, defects)
    detections = total.hits + total.false_alarms
    values = {f'{prefix}Found.{name}': shares['']}
    values.update({f'{prefix}Found_{size}.{name}': shares[size] for size in SIZE_NAMES})
    values[f'{prefix}DetPrecision.{name}'] = 100 * total.hits / detections if detections else math.nan
    values[f'{prefix}FA.{name}'] = total.false_alarms / images
    return values


def _at_point(one: _Class, threshold: float | None) -> Match | None:
    """Counts at a threshold of the grid; None: the class is never marked."""
    if threshold is None:
        return Match(*(np.zeros_like(part[..., 0]) for part in _parts(one.sweep)))
    index = int(np.argmin(np.abs(thresholds() - threshold)))
    return Match(*(part[..., index] for part in _parts(one.sweep)))


def _parts(result: Match) -> tuple[np.ndarray, ...]:
    return result.found, result.hits, result.false_alarms


def summarise(
    images: Sequence[ImageCounts], names: Sequence[str], point: OperatingPoint | None
) -> Inspection:
    """Scalars and curves of a dataset; see docs/inspection.md for the keys.

    Args:
        images: counts of its images, at least one.
        names: of the foreground classes.
        point: the operating point that was applied or, from :func:`choose`, chosen on the same images.
    """
    scalars: dict[str, float] = {}
    curves: dict[str, Any] = {}
    applied: dict[str, Any] = {}
    for one in _gather(images, names):
        defects = one.defects.sum(axis=0)
        scalars |= _match_scalars('', one.name, sum_match(one.argmax), defects, len(images))
        scalars[f'AP.{one.name}'] = 100 * one.precision
        if point is not None:
            threshold = point.classes[one.name].threshold
            per_image = one.applied or _at_point(one, threshold)
            scalars |= _match_scalars('OP', one.name, sum_match(per_image), defects, len(images))
            scalars[f'OPThreshold.{one.name}'] = math.nan if threshold is None else threshold
            applied[one.name] = _with_intervals(per_image, one.defects)
        curves[one.name] = _curves(one, len(images))
    kinds = ('Found', 'AP', *(['OPFound'] if point else []))
    for kind in kinds:
        scalars[f'm{kind}'] = _mean(scalars[f'{kind}.{name}'] for name in names)
    scalars |= _dataset_scalars(images)
    scalars = {key: _rounded(key, value) for key, value in scalars.items()}
    content = dict(
        images=len(images),
        thresholds=[float(f'{value:.6g}') for value in thresholds()],
        classes=curves,
        operating_point=point.to_dict() if point else None,
        at_operating_point=applied,
    )
    return Inspection(scalars, point, content)


def _dataset_scalars(images: Sequence[ImageCounts]) -> dict[str, float]:
    scores = np.array([image.score for image in images])
    defective = np.array([image.defective for image in images])
    auroc, recall = image_figures(scores, defective)
    normal = np.sum([image.normal for image in images], axis=0, dtype=np.int64)
    overlap = np.sum([image.overlap for image in images], axis=0, dtype=np.float64)
    pro = per_region_overlap(normal, overlap, sum(image.regions for image in images))
    return {'ImageAUROC': 100 * auroc, 'ImageRecall95': 100 * recall, 'PRO': 100 * pro}


def _with_intervals(result: Match, defects: np.ndarray) -> dict[str, float | list[float]]:
    """Percent found and false alarms per image, each with its 95 % interval; by image."""
    hits, total = result.found.sum(), defects.sum()
    found = share_interval(result.found.sum(axis=1), defects.sum(axis=1))
    alarms = share_interval(result.false_alarms, np.ones(len(defects)))
    return {
        'found': round(100 * float(hits / total), 2) if total else math.nan,
        'false_alarms': round(float(result.false_alarms.mean()), 4),
        'found_interval': [round(100 * found.low, 2), round(100 * found.high, 2)],
        'false_alarms_interval': [round(alarms.low, 4), round(alarms.high, 4)],
    }


def _curves(one: _Class, images: int) -> dict[str, Any]:
    total, defects = sum_match(one.sweep), one.defects.sum(axis=0)
    shares = size_shares(total.found, defects)
    found = {
        name or 'all': [round(float(value), 2) for value in np.broadcast_to(shares[name], LEVELS)]
        for name in shares
        if not np.isnan(shares[name]).any()
    }
    return dict(
        defects=dict(zip(SIZE_NAMES, defects.tolist())),
        found=found,
        false_alarms=[round(float(value), 4) for value in total.false_alarms / images],
    )


def _mean(values) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _rounded(key: str, value: float) -> float:
    # plain floats, which checkpoints may hold
    return round(float(value), 6 if 'Threshold' in key else 4 if 'FA' in key else 2)


def table(scalars: Mapping[str, float], names: Sequence[str], target: float | None) -> str:
    """Figures per class as text: at the most probable class, and at the operating point."""
    head = ['Class', 'At', *('Found', '<=5 px', '<=32', '<=256', 'larger'), 'Precision', 'FA/image', 'AP']
    rows = [head]
    for name in names:
        for prefix, title in (('', 'argmax'), ('OP', '')):
            if f'{prefix}FA.{name}' not in scalars:
                continue
            threshold = scalars.get(f'OPThreshold.{name}')
            keys = ['Found', *(f'Found_{size}' for size in SIZE_NAMES), 'DetPrecision', 'FA']
            values = [f'{scalars[f"{prefix}{key}.{name}"]:g}' for key in keys]
            at = title or ('never' if math.isnan(threshold) else f'p >= {threshold:.4g}')
            rows.append([name, at, *values, f'{scalars[f"AP.{name}"]:g}' if title else ''])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(text.rjust(width) for text, width in zip(row, widths)) for row in rows]
    if target is not None:
        lines.append(
            f'Operating point: at most {target:g} false alarms per image and class on the validation set.'
        )
    return '\n'.join(lines)
