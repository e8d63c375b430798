"""Choose the threshold of a class, with bootstrap intervals over the images."""

import numpy as np

from .levels import thresholds
from .operating_point import ClassPoint, Interval

RESAMPLES = 1000
_PERCENTILES = (2.5, 97.5)
# resamples computed at a time: bounds the memory
_CHUNK = 100


def choose_index(found: np.ndarray, false_alarms: np.ndarray, allowed: float) -> np.ndarray:
    """The threshold that finds most at no more than ``allowed`` false alarms.

    Of several with equal numbers of both it is the middle one, of those with equal ``found`` alone one with the
    fewest false alarms. If nothing can be found it is the lowest threshold from which on no more false alarms arise
    than allowed.

    Args:
        found, false_alarms: (..., K): numbers at each threshold, ascending.
        allowed: a number.

    Returns:
        (...,): an index of the K thresholds; K: all give more false alarms than allowed.
    """
    count = found.shape[-1]
    fits = false_alarms <= allowed
    most = np.where(fits, found, -1).max(axis=-1, keepdims=True)
    ties = fits & (found == most)
    fewest = np.where(ties, false_alarms, np.inf).min(axis=-1, keepdims=True)
    ties &= false_alarms == fewest
    middle = (ties.cumsum(axis=-1) <= (ties.sum(axis=-1, keepdims=True) - 1) // 2).sum(axis=-1)
    exceeding = np.where(fits, -1, np.arange(count)).max(axis=-1)
    index = np.where(most[..., 0] > 0, middle, exceeding + 1)
    return np.where(fits.any(axis=-1), np.minimum(index, count), count)


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
    grid = np.append(thresholds().astype(float), np.nan)
    index = int(choose_index(found.sum(axis=0), false_alarms.sum(axis=0), target * images))
    shares, chosen = [], []
    for weights in _resamples(images, seed):
        places = choose_index(weights @ found, weights @ false_alarms, target * images)
        padded = np.pad(weights @ found, ((0, 0), (0, 1)))
        total = weights @ defects
        with np.errstate(divide='ignore', invalid='ignore'):
            shares.append(100 * padded[np.arange(len(places)), places] / total)
        chosen.append(np.append(grid[:count], 1.0)[places])
    total = defects.sum()
    hits = found[:, index].sum() if index < count else 0
    return ClassPoint(
        threshold=float(grid[index]) if index < count else None,
        found=float(100 * hits / total) if total else float('nan'),
        false_alarms=float(false_alarms[:, index].mean()) if index < count else 0.0,
        found_interval=_interval(np.concatenate(shares)),
        threshold_interval=_interval(np.concatenate(chosen)),
    )


def share_interval(counts: np.ndarray, totals: np.ndarray, seed: int = 0) -> Interval:
    """The interval of ``sum(counts) / sum(totals)`` over resampled images; both (N,)."""
    values = []
    with np.errstate(divide='ignore', invalid='ignore'):
        for weights in _resamples(len(counts), seed):
            values.append((weights @ counts) / (weights @ totals))
    return _interval(np.concatenate(values))


def _resamples(images: int, seed: int):
    """How often each image is drawn in each resample, (chunk, N) at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES // _CHUNK):
        yield rng.multinomial(images, np.full(images, 1 / images), size=_CHUNK).astype(np.float64)


def _interval(values: np.ndarray) -> Interval:
    values = values[~np.isnan(values)]
    if not values.size:
        return Interval(float('nan'), float('nan'))
    return Interval(*(float(value) for value in np.percentile(values, _PERCENTILES)))
