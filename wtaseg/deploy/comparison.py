"""Accuracy of an exported model on labelled images, its size and its latency."""

import math
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmseg.evaluation import IoUMetric
from mmseg.evaluation.inspection.counts import count_image, read_maps
from mmseg.evaluation.inspection.matching import Rule
from mmseg.evaluation.inspection.report import summarise
from wtaseg.markdown import table_lines
from wtaseg.predict.onnx_model import OnnxPredictor

IGNORED = 255
#: Timed runs of a network, after one that is not timed.
REPEATS = 7


@dataclass(frozen=True)
class Quality:
    """What a model finds on labelled images.

    Attributes:
        foreground_miou: mean IoU of the foreground classes, each pixel of its most probable class; in percent.
        found: defects found at the operating point, without one by the most probable class; in percent, mean of the
            classes that have defects.
        false_alarms: per image, of all classes together, likewise.
    """

    foreground_miou: float
    found: float
    false_alarms: float


@dataclass(frozen=True)
class Measured:
    """A file and what was measured of it.

    Attributes:
        path: of the file.
        quality: on the validation set; None: not measured.
        megabytes: size of the file.
        milliseconds: median time of the network for one image of the exported size.
    """

    path: Path
    quality: Quality | None
    megabytes: float
    milliseconds: float


def quality_of(predictor: OnnxPredictor, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Quality:
    """What a model finds.

    Args:
        predictor: the exported model.
        pairs: images (H, W, 3) in BGR order and class ids (H, W), 255 ignored.

    Raises:
        ValueError: a label map is not of the size of its image.
    """
    names, point = predictor.classes[1:], predictor.operating_point
    rule = Rule() if point is None else Rule(point.min_area, point.tolerance, point.min_overlap)
    areas, counts = [], []
    for pixels, labels in pairs:
        if pixels.shape[:2] != labels.shape:
            raise ValueError(
                f'an image of {pixels.shape[:2]} has a label map of {labels.shape}; expected one size'
            )
        shares = torch.from_numpy(predictor.predict(pixels).probabilities)
        predicted, label = shares.argmax(dim=0), torch.from_numpy(labels)
        areas.append(IoUMetric.intersect_and_union(predicted, label, len(names) + 1, IGNORED))
        marked = None if point is None else point.masks(shares)
        counts.append(count_image(read_maps(shares, predicted, label, IGNORED, marked), rule))
    sums = [sum(part).numpy() for part in zip(*areas)]
    iou = 100 * IoUMetric.total_area_to_metrics(*sums)['IoU'][1:][sums[3][1:] > 0]
    scalars = summarise(counts, names, point).scalars
    prefix = '' if point is None else 'OP'
    alarms = sum(scalars[f'{prefix}FA.{name}'] for name in names)
    return Quality(float(iou.mean()) if iou.size else math.nan, scalars[f'm{prefix}Found'], alarms)


def latency(predictor: OnnxPredictor, size: tuple[int, int]) -> float:
    """Median milliseconds of the network for one image of (height, width)."""
    images = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        predictor.run(images)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])


def measure(
    path: Path, size: tuple[int, int], pairs: Iterator[tuple[np.ndarray, np.ndarray]] | None = None
) -> Measured:
    """Measure an exported file on the CPU.

    Args:
        path: of the file.
        size: (height, width) for the latency.
        pairs: see :func:`quality_of`; None: no quality.
    """
    predictor = OnnxPredictor(path, 'cpu')
    quality = None if pairs is None else quality_of(predictor, pairs)
    return Measured(path, quality, path.stat().st_size / 1e6, latency(predictor, size))


def table(rows: Iterable[tuple[str, Measured]]) -> str:
    """Markdown table of what was measured, a row a precision."""
    header = ('precision', 'foreground mIoU', 'defects found', 'false alarms per image', 'MB', 'ms')
    cells = []
    for name, one in rows:
        numbers = ('–',) * 3
        if one.quality is not None:
            values = (one.quality.foreground_miou, one.quality.found, one.quality.false_alarms)
            numbers = tuple('–' if math.isnan(value) else f'{value:.2f}' for value in values)
        cells.append([name, *numbers, f'{one.megabytes:.2f}', f'{one.milliseconds:.1f}'])
    return '\n'.join(table_lines(header, cells))
