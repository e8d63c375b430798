"""Choose the threshold of a class, with bootstrap intervals over the images."""

from dataclasses import replace

import numpy as np

from .curve import Curve, choose_index
from .levels import thresholds
from .operating_point import ClassPoint, Interval

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
# resamples computed at a time: bounds the memory
_CHUNK = 100


def choose_point(
    found: np.ndarray, false_alarms: np.ndarray, defects: np.ndarray, target: float, seed: int = 0
) -> ClassPoint:
    """The operating point of one class.

    Args:
        found, false_alarms: (N, K): of each image at each threshold.
        defects: (N,): labelled defects of each image.
        target: most false alarms per image that are allowed.
        seed: of the resamples.
    """
    images, count = found.shape
    curve = Curve(
        tuple(found.sum(axis=0).tolist()), tuple(false_alarms.sum(axis=0).tolist()), int(defects.sum())
    )
    grid = thresholds().astype(float)
    shares, chosen = [], []
    for weights in resamples(images, seed):
        places = choose_index(weights @ found, weights @ false_alarms, target * images)
        padded = np.pad(weights @ found, ((0, 0), (0, 1)))
        total = weights @ defects
        with np.errstate(divide='ignore', invalid='ignore'):
            shares.append(100 * padded[np.arange(len(places)), places] / total)
        chosen.append(np.append(grid[:count], 1.0)[places])
    return replace(
        ClassPoint.on(curve, images, target),
        found_interval=_interval(np.concatenate(shares)),
        threshold_interval=_interval(np.concatenate(chosen)),
    )


def share_interval(counts: np.ndarray, totals: np.ndarray, seed: int = 0) -> Interval:
    """The interval of ``sum(counts) / sum(totals)`` over resampled images; both (N,)."""
    values = []
    with np.errstate(divide='ignore', invalid='ignore'):
        for weights in resamples(len(counts), seed):
            values.append((weights @ counts) / (weights @ totals))
    return _interval(np.concatenate(values))


def resamples(images: int, seed: int):
    """How often each image is drawn in each resample, (chunk, N) at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _CHUNK):
        yield rng.multinomial(images, np.full(images, 1 / images), size=_CHUNK).astype(np.float64)


def _interval(values: np.ndarray) -> Interval:
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(float('nan'), float('nan'))
    return Interval(*(float(value) for value in np.percentile(values, PERCENTILES)))
