"""Average precision, AUROC, recall at a specificity and PRO, from histograms or scores."""

import numpy as np

#: Specificity at which the recall of images is given.
SPECIFICITY = 0.95
#: Share of normal pixels up to which PRO is integrated, as for MVTec AD.
PRO_LIMIT = 0.3


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Average precision, 0 to 1: the sum over thresholds of precision times the step in recall.

    Args:
        positives, negatives: number of pixels at each level, ascending; those of one level have one score.

    Returns:
        scikit-learn's ``average_precision_score`` of the levels; NaN without positives.
    """
    hits = np.cumsum(positives[::-1], dtype=np.float64)
    total = hits + np.cumsum(negatives[::-1], dtype=np.float64)
    if not hits[-1]:
        return float('nan')
    precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    return float((precision * np.diff(hits, prepend=0)).sum() / hits[-1])


def roc(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate at each threshold, from (0, 0) to (1, 1).

    Args:
        scores: (N,).
        positive: (N,), bool; both kinds must occur.
    """
    order = np.argsort(-scores, kind='stable')
    scores, positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # equal scores are one step
    rates = []
    for kind in (~positive, positive):
        counts = np.cumsum(kind)[last]
        rates.append(np.concatenate([[0.0], counts / counts[-1]]))
    return rates[0], rates[1]


def image_figures(scores: np.ndarray, defective: np.ndarray) -> tuple[float, float]:
    """AUROC of the images, and the highest recall at a specificity of at least :data:`SPECIFICITY`; 0 to 1.

    NaN unless there are images with and without defects.
    """
    if defective.all() or not defective.any():
        return float('nan'), float('nan')
    false, true = roc(scores, defective)
    auroc = float(np.trapezoid(true, false))
    # one in twenty is allowed whatever its rounding
    return auroc, float(true[false <= 1 - SPECIFICITY + 1e-12].max())


def per_region_overlap(normal: np.ndarray, overlap: np.ndarray, regions: int) -> float:
    """PRO, 0 to 1: mean overlap of the regions over the false positive rate, up to :data:`PRO_LIMIT`, normalised.

    Bergmann et al., Uninformed Students, CVPR 2020; The MVTec Anomaly Detection Dataset, IJCV 2021.

    Args:
        normal: (LEVELS + 1,): normal pixels at each level.
        overlap: (LEVELS + 1,): share of each region at or above each level, summed over regions.
        regions: their number.

    Returns:
        NaN without regions or without normal pixels.
    """
    if not regions or not normal.sum():
        return float('nan')
    false = np.concatenate([[0.0], np.cumsum(normal[::-1], dtype=np.float64) / normal.sum()])
    mean = np.concatenate([[0.0], overlap[::-1].astype(np.float64) / regions])
    # of several points at one rate the curve goes through all, so the last counts at the limit
    after = int(np.searchsorted(false, PRO_LIMIT, side='right'))
    share = (PRO_LIMIT - false[after - 1]) / (false[after] - false[after - 1])
    end = mean[after - 1] + share * (mean[after] - mean[after - 1])
    false = np.append(false[:after], PRO_LIMIT)
    mean = np.append(mean[:after], end)
    return float(np.trapezoid(mean, false) / PRO_LIMIT)
