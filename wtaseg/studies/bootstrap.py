"""Differences between the rows of a study, with intervals: paired by seed, over the test images.

All runs of a study are tested on the same images. A resample draws the images with replacement, the same ones for all runs,
and the seeds, the same ones for both rows of a difference; in it, IoU is computed from the sums of the pixels, and the
defects found at the threshold that finds most at no more than the allowed false alarms in these images. The interval of a
difference holds the middle 95 % of 1000 resamples.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mmseg.evaluation.inspection.choosing import PERCENTILES, resamples
from mmseg.evaluation.inspection.curve import choose_index
from mmseg.evaluation.inspection.pooling import SweepCounts
from wtaseg.studies.paired import MEAN_IOU, Comparison, Difference, PairedDifferences


def compare(
    counts: Mapping[str, Sequence[SweepCounts]],
    pairs: Sequence[tuple[str, str]],
    target: float,
    seed: int = 0,
) -> PairedDifferences:
    """Compare rows of a study.

    Args:
        counts: of the runs of each row, by its title, in the order of the seeds.
        pairs: titles of the rows to compare, (row, against).
        target: most false alarms per image and class.
        seed: of the resamples.

    Raises:
        ValueError: the runs were tested on different images or by different rules, or counts have no pixels.
    """
    runs = [run for row in counts.values() for run in row]
    first = runs[0]
    for run in runs:
        same = (run.names, run.rule) == (first.names, first.rule)
        if not same or not np.array_equal(run.defects, first.defects):
            raise ValueError(
                'the runs were tested on different images or labels; give --restart to test them again'
            )
        if run.pixels is None:
            raise ValueError('the tests have no counts of pixels; give --restart to test the runs again')
    seeds = min(len(row) for row in counts.values())
    names = metric_names(first.names, target)
    whole = np.ones((1, first.images))
    values = {title: [measure(run, whole, target) for run in row[:seeds]] for title, row in counts.items()}
    drawn = {title: [draw(run, target, seed) for run in row[:seeds]] for title, row in counts.items()}
    weights = seed_weights(seeds, len(next(iter(drawn.values()))[0]), seed)
    comparisons = []
    for row, against in pairs:
        means = np.mean([a - b for a, b in zip(values[row], values[against])], axis=0)[0]
        samples = np.stack([a - b for a, b in zip(drawn[row], drawn[against])])
        samples = (weights.T[..., None] * samples).sum(axis=0) / seeds
        comparisons.append(Comparison(row, against, dict(zip(names, map(_difference, means, samples.T)))))
    return PairedDifferences(target, first.images, seeds, len(weights), tuple(comparisons))


def metric_names(classes: Sequence[str], target: float) -> list[str]:
    """Titles of the metrics. The recall is not that of the table of results, whose thresholds are those of validations."""
    found = [f'{name.capitalize()} recall at {target:g} FA/image' for name in classes]
    return [*(f'{name.capitalize()} IoU' for name in classes), MEAN_IOU, *found]


def draw(run: SweepCounts, target: float, seed: int) -> np.ndarray:
    """The metrics of a run in every resample of its images, ``(resamples, metrics)``."""
    return np.concatenate([measure(run, weights, target) for weights in resamples(run.images, seed)])


def measure(run: SweepCounts, weights: np.ndarray, target: float) -> np.ndarray:
    """IoU by class, their mean, and defects found by class, in percent.

    Args:
        run: counts of N images.
        weights: ``(B, N)``, how often each image counts.
        target: most false alarms per image.

    Returns:
        ``(B, metrics)``; NaN: a class has no pixel or no defect.
    """
    assert run.pixels is not None
    columns = []
    with np.errstate(divide='ignore', invalid='ignore'):
        both, predicted, labelled = (run.pixels[..., i] @ weights.T for i in range(3))  # (C, B)
        iou = np.where(labelled > 0, 100 * both / (predicted + labelled - both), np.nan)
        columns += list(iou)
        known = ~np.isnan(iou)
        columns.append(np.where(known, iou, 0).sum(axis=0) / known.sum(axis=0))
        for found, alarms, defects in zip(run.found, run.false_alarms, run.defects):
            at_threshold = weights @ found
            places = choose_index(at_threshold, weights @ alarms, target * run.images)
            at_threshold = np.pad(at_threshold, ((0, 0), (0, 1)))
            columns.append(100 * at_threshold[np.arange(len(places)), places] / (weights @ defects))
    return np.stack(columns, axis=1)


def seed_weights(seeds: int, resamples: int, seed: int) -> np.ndarray:
    """How often each seed is drawn in each resample, ``(resamples, seeds)``."""
    rng = np.random.default_rng([seed, 1])
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).astype(np.float64)


def _difference(mean: float, samples: np.ndarray) -> Difference:
    samples = samples[~np.isnan(samples)]
    if math.isnan(mean) or not samples.size:
        return Difference(None, None, None)
    low, high = np.percentile(samples, PERCENTILES)
    return Difference(float(mean), float(low), float(high))
