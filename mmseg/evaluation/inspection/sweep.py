"""Match the components of a probability map with the defects at every threshold of the grid, in one pass.

The pixels are divided into basins, one for each local maximum, by steepest ascent. Two neighbouring basins belong to
the same component at all thresholds up to their saddle, the highest level at which neighbouring pixels of both are
reached. Merging basins by descending saddle (Kruskal's algorithm) gives an order in which the components of every
threshold are runs of consecutive basins, separated where the saddle is lower. So areas are differences of
cumulative sums. The result is exact: it equals labelling the map at each threshold.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree

from .levels import LEVELS
from .matching import SIZE_NAMES, Defects, Match, Rule


@dataclass(frozen=True)
class Runs:
    """Components of all thresholds as runs of basins, ordered by threshold, then by position.

    Attributes:
        level: (R,): the threshold, 1 to LEVELS.
        start, end: (R,): positions of the first and of the last basin.
        basins: number of basins.
    """

    level: np.ndarray
    start: np.ndarray
    end: np.ndarray
    basins: int

    def find(self, level: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Indices of the runs that contain these basins at these thresholds; each basin's peak reaches it."""
        starts = self.level * self.basins + self.start
        return np.searchsorted(starts, level * self.basins + position, side='right') - 1


def sweep(levels: np.ndarray, defects: Defects, rule: Rule) -> Match:
    """Match at all thresholds.

    Args:
        levels: (H, W), uint8, see :func:`.levels.to_levels`.
        defects: of the same class and image.
        rule: how components are matched.

    Returns:
        Counts for LEVELS thresholds.
    """
    pixels, compact = _without_empty_lines(levels)
    if not compact.size:
        zero = np.zeros(LEVELS, np.int64)
        return Match(np.zeros((len(SIZE_NAMES), LEVELS), np.int64), zero, zero)
    basin, peaks = _basins(compact)
    order, saddles = _merge_order(*_saddles(compact, basin), len(peaks))
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    runs = _runs(peaks[order], saddles)

    inside = np.flatnonzero(compact)
    basin, level = position[basin.ravel()[inside]], compact.ravel()[inside].astype(np.int64)
    pixels = pixels[inside]
    near = np.flatnonzero(defects.near.ravel()[pixels])
    area = _sums(basin, level, runs)
    hit = rule.is_hit(area, _sums(basin[near], level[near], runs) if near.size else np.zeros_like(area))

    lookup = np.full(levels.size, -1, np.int64)
    lookup[pixels] = basin
    found = _found(lookup[defects.pixel], levels.ravel()[defects.pixel], defects, runs, hit)
    by_size = np.stack([found[defects.bins == index].sum(axis=0) for index in range(len(SIZE_NAMES))])
    alarms = runs.level[(area >= rule.min_area) & ~hit]
    hits = runs.level[hit]
    return Match(by_size, *(np.bincount(part, minlength=LEVELS + 1)[1:] for part in (hits, alarms)))


def _without_empty_lines(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop rows and columns of zeros, but for one between others, which keeps apart what is apart.

    Returns:
        Indices of the remaining pixels in the flat map, and the smaller map.
    """
    lines = []
    for used in (levels.any(axis=1), levels.any(axis=0)):
        before = np.concatenate([[False], used[:-1]])
        lines.append(np.flatnonzero(used | before))
    rows, columns = lines
    if (len(rows), len(columns)) == levels.shape:
        return np.arange(levels.size), levels
    return (rows[:, None] * levels.shape[1] + columns).ravel(), levels[np.ix_(rows, columns)]


def _basins(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The basin of each pixel (H, W), and the level of each basin's peak (M,); pixels of level 0 have basin -1."""
    height, width = levels.shape
    size = height * width
    dtype = np.int32 if (LEVELS + 1) * size < 2**31 else np.int64
    places = np.arange(size, dtype=dtype)
    # equal levels are ordered by position, so that each pixel has one way up
    rank = np.full((height + 2, width + 2), -1, dtype)
    rank[1:-1, 1:-1] = levels.astype(dtype) * size + places.reshape(height, width)
    rank[1:-1, 1:-1][levels == 0] = -1
    best = rank[:, :-2].copy()
    np.maximum(best, rank[:, 1:-1], out=best)
    np.maximum(best, rank[:, 2:], out=best)
    target = np.maximum(np.maximum(best[:-2], best[1:-1]), best[2:]).ravel()
    target = np.where(levels.ravel() > 0, target % size, places)
    while True:
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    flat = levels.ravel()
    is_peak = (target == places) & (flat > 0)
    number = np.full(size, -1, dtype)
    number[is_peak] = np.arange(is_peak.sum())
    return number[target].reshape(height, width), flat[is_peak].astype(np.int64)


def _saddles(levels: np.ndarray, basin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of neighbouring basins, first < second, and the highest level at which they touch, all (E,)."""
    first, second, saddle = [], [], []
    # a column that belongs to no basin separates the rows of the flat map
    basin, levels = (
        np.pad(part, ((0, 0), (0, 1)), constant_values=fill) for part, fill in ((basin, -1), (levels, 0))
    )
    width, basin, levels = basin.shape[1], basin.ravel(), levels.ravel()
    for offset in (1, width - 1, width, width + 1):
        place = np.flatnonzero(basin[:-offset] != basin[offset:])
        a, b = basin[place].astype(np.int64), basin[place + offset].astype(np.int64)
        level = np.minimum(levels[place], levels[place + offset])
        of_two = level > 0
        first.append(np.minimum(a, b)[of_two])
        second.append(np.maximum(a, b)[of_two])
        saddle.append(level[of_two].astype(np.int64))
    a, b, level = np.concatenate(first), np.concatenate(second), np.concatenate(saddle)
    if not a.size:
        return a, b, level
    basins = int(basin.max()) + 1
    key = np.sort((a * basins + b) * (LEVELS + 1) + level)
    pair = key // (LEVELS + 1)
    last = np.flatnonzero(np.append(pair[1:] != pair[:-1], True))
    return pair[last] // basins, pair[last] % basins, key[last] % (LEVELS + 1)


def _merge_order(
    first: np.ndarray, second: np.ndarray, saddle: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Basins in the order of their merging (M,), and the saddle after each of them (M,); 0: none."""
    weights = coo_matrix((LEVELS + 1 - saddle, (first, second)), shape=(count, count))
    tree = minimum_spanning_tree(weights.tocsr()).tocoo()
    by_level = np.argsort(tree.data, kind='stable')
    parent, tail = list(range(count)), list(range(count))
    follower, after = [-1] * count, [0] * count

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    rows, columns, values = (part[by_level].tolist() for part in (tree.row, tree.col, tree.data))
    for row, column, value in zip(rows, columns, values):
        # the root of a run is its first basin
        one, other = root(row), root(column)
        follower[tail[one]], after[tail[one]] = other, LEVELS + 1 - int(value)
        tail[one] = tail[other]
        parent[other] = one
    order = []
    for index in range(count):
        if parent[index] == index:
            while index >= 0:
                order.append(index)
                index = follower[index]
    order = np.array(order)
    return order, np.array(after)[order]


def _runs(peaks: np.ndarray, saddles: np.ndarray) -> Runs:
    """The runs of all thresholds: one begins where the saddle before a basin is below the threshold."""
    before = np.concatenate([[0], saddles[:-1]])
    starts, ends = (_expand(lower, peaks) for lower in (before, saddles))
    return Runs(starts[0], starts[1], ends[1], len(peaks))


def _expand(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (level, index) with ``lower[index] < level <= upper[index]``, ordered by level, then by index."""
    counts = np.maximum(upper - lower, 0)
    index = np.repeat(np.arange(len(counts)), counts)
    level = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + lower[index] + 1
    key = level * len(counts) + index
    # half the width sorts in half the time
    key = np.sort(key.astype(np.int32) if (LEVELS + 1) * len(counts) < 2**31 else key).astype(np.int64)
    return key // len(counts), key % len(counts)


def _sums(basin: np.ndarray, level: np.ndarray, runs: Runs) -> np.ndarray:
    """Number of the given pixels that reach each run's threshold inside of it, (R,)."""
    width = int(runs.level[-1]) + 1
    counts = np.bincount(basin * width + level, minlength=runs.basins * width).reshape(-1, width)
    dtype = np.int32 if basin.size < 2**31 else np.int64
    total = np.zeros((runs.basins + 1, width), dtype)
    np.cumsum(counts, axis=0, out=total[1:])
    total = total[:, ::-1].cumsum(axis=1, dtype=dtype)[:, ::-1]
    return total[runs.end + 1, runs.level] - total[runs.start, runs.level]


def _found(basin: np.ndarray, level: np.ndarray, defects: Defects, runs: Runs, hit: np.ndarray) -> np.ndarray:
    """Whether each defect is found at each threshold, (D, LEVELS), bool; ``basin`` and ``level`` of the near pixels."""
    found = np.zeros((len(defects.bins), LEVELS), bool)
    reached = basin >= 0
    if not reached.any():
        return found
    # the highest level of each defect's pixels in each basin
    key = defects.owner[reached] * runs.basins + basin[reached]
    key = np.sort(key * (LEVELS + 1) + level[reached])
    pair = key // (LEVELS + 1)
    last = np.append(pair[1:] != pair[:-1], True)
    pair, highest = pair[last], key[last] % (LEVELS + 1)
    threshold, index = _expand(np.zeros_like(highest), highest)
    owner, position = pair[index] // runs.basins, pair[index] % runs.basins
    is_hit = hit[runs.find(threshold, position)]
    found[owner[is_hit], threshold[is_hit] - 1] = True
    return found
