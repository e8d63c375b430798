"""What every threshold finds on the validation set, and the choice among the thresholds."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Sums over the images of a validation set, for each of :func:`.levels.thresholds`, ascending.

    Attributes:
        found: (LEVELS,): defects found.
        false_alarms: (LEVELS,): false alarms.
        defects: number of labelled defects.
    """

    found: tuple[int, ...]
    false_alarms: tuple[int, ...]
    defects: int

    def choose(self, allowed: float) -> int | None:
        """Index of the threshold that finds most at no more than ``allowed`` false alarms; None: all give more."""
        index = int(choose_index(np.array(self.found), np.array(self.false_alarms), allowed))
        return index if index < len(self.found) else None


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
