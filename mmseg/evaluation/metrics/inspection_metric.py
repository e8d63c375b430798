"""Defects found and false alarms, beside :class:`IoUMetric`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from mmseg.registry import METRICS

from ..inspection.counts import ImageCounts, count_image, read_maps
from ..inspection.levels import probabilities
from ..inspection.matching import Rule
from ..inspection.operating_point import FALSE_ALARMS, OperatingPoint
from ..inspection.pooling import SweepCounts
from ..inspection.report import Inspection, choose, summarise, table

#: Most threads that count components, of images that the model has finished.
MAX_WORKERS = 4


@METRICS.register_module()
class InspectionMetric(BaseMetric):
    """Defects found, false alarms per image, and the operating point; docs/inspection.md defines all figures.

    For each foreground class: ``Found`` (share of the defects found) in all and by size, ``DetPrecision`` of
    the detections, ``FA`` (false alarms per image), ``AP`` (pixels); with ``OP`` before the name at the operating point.
    For the dataset: ``mFound``, ``mOPFound``, ``mAP``, ``ImageAUROC``, ``ImageRecall95``, ``PRO``. Shares in percent.

    It reads ``seg_logits``; the levels are computed on their device. About 10 kB per image and class are kept.

    Args:
        ignore_index: label of pixels that do not count.
        min_area: smallest number of pixels of a defect and of a detection.
        tolerance: largest distance in px between a detection and a defect that it finds, in x and in y.
        min_overlap: smallest share of a detection's pixels near defects; below it is a false alarm.
        false_alarms: most false alarms per image and class at the operating point. None: where it is chosen, 0.1;
            where it is applied, those that it was chosen for. Another number is applied by the stored validation curves.
        choose_operating_point: choose it on this dataset, which is to be the validation set.
        save_counts: in a test, also write the counts of each image beside the curves, see :mod:`..inspection.pooling`.
        collect_device: where results of several processes are gathered, 'cpu' or 'gpu'.
        prefix: put before the names, with a slash.

    Attributes:
        operating_point: applied where none is chosen; ``OperatingPointHook`` sets it from the checkpoint.
        inspection: results of the last evaluation, on the first process.
        counts: with ``save_counts``, those of the last evaluation.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        min_area: int = 1,
        tolerance: int = 3,
        min_overlap: float = 0.25,
        false_alarms: float | None = None,
        choose_operating_point: bool = False,
        save_counts: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if false_alarms is not None and not false_alarms >= 0:
            raise ValueError(
                f'InspectionMetric: false_alarms={false_alarms}; expected a number per image from 0'
            )
        self.rule = Rule(min_area, tolerance, min_overlap)
        self.ignore_index = ignore_index
        self.false_alarms = false_alarms
        self.choose_operating_point = choose_operating_point
        self.operating_point: OperatingPoint | None = None
        self.inspection: Inspection | None = None
        self.save_counts = save_counts
        self.counts: SweepCounts | None = None
        # components are counted while the model computes the next images
        self._workers = min(MAX_WORKERS, os.cpu_count() or 1)
        self._pool: ThreadPoolExecutor | None = None
        self._counted = 0

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes from 1."""
        return tuple(self.dataset_meta['classes'][1:])

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count components and levels of each sample.

        Args:
            data_batch: unused.
            data_samples: with ``seg_logits`` (C, H, W), or (1, H, W) probabilities of a one-channel head, and
                ``pred_sem_seg`` and ``gt_sem_seg``, ids (1, H, W).

        Raises:
            ValueError: a sample has no ``seg_logits``, or not one for each class, or parts of different size.
        """
        for sample in data_samples:
            name = sample.get('img_path', 'a sample')
            if 'seg_logits' not in sample:
                raise ValueError(
                    f'InspectionMetric: {name} has no seg_logits, which the model must return beside pred_sem_seg; '
                    'remove the metric from val_evaluator and test_evaluator, or let predict() set them'
                )
            probability = probabilities(sample['seg_logits']['data'])
            predicted = sample['pred_sem_seg']['data'][0]
            label = sample['gt_sem_seg']['data'][0].to(probability.device)
            expected = (len(self.dataset_meta['classes']), *label.shape)
            if tuple(probability.shape) != expected or predicted.shape != label.shape:
                raise ValueError(
                    f'InspectionMetric: {name} has logits of {tuple(probability.shape)} (classes, height, width); '
                    f'expected {expected}, as classes and label have; labels must not be resized in the test pipeline'
                )
            marked = None
            if self.operating_point is not None and not self.choose_operating_point:
                marked = self.operating_point.masks(probability)
            maps = read_maps(probability, predicted, label, self.ignore_index, marked)
            self._wait_for(self._workers)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix='inspection')
            self.results.append(self._pool.submit(count_image, maps, self.rule))

    def _wait_for(self, pending: int) -> None:
        """Wait until no more than ``pending`` images are being counted, which bounds the memory."""
        while len(self.results) - self._counted > pending:
            self.results[self._counted] = self.results[self._counted].result()
            self._counted += 1

    def evaluate(self, size: int) -> dict[str, float]:
        """As mmengine's, after the images that are still being counted."""
        self._wait_for(0)
        if self._pool is not None:
            self._pool.shutdown()
        self._pool, self._counted = None, 0
        return super().evaluate(size)

    def compute_metrics(self, results: list[ImageCounts]) -> dict[str, float]:
        """Scalars of the whole dataset; prints the table per class."""
        logger: MMLogger = MMLogger.get_current_instance()
        if self.choose_operating_point:
            target = FALSE_ALARMS if self.false_alarms is None else self.false_alarms
            point = choose(results, self.foreground, self.rule, target)
        else:
            point = self.operating_point
        if self.save_counts:
            self.counts = SweepCounts.of(results, self.foreground, self.rule)
        self.inspection = summarise(results, self.foreground, point)
        text = table(self.inspection.scalars, self.foreground, point.target if point else None)
        print_log('defects found (%) and false alarms:\n' + text, logger)
        return dict(self.inspection.scalars)

    def apply(self, point: OperatingPoint | None) -> None:
        """Apply an operating point in the next evaluation, at ``false_alarms`` if given; None: none.

        Raises:
            ValueError: it has other classes than the dataset, or no curves for ``false_alarms``.
        """
        if point is not None and tuple(point.classes) != self.foreground:
            raise ValueError(
                f'InspectionMetric: the operating point has the classes {", ".join(point.classes)}, the dataset '
                f'{", ".join(self.foreground)}; validate the model on a dataset with these classes'
            )
        if point is not None and self.false_alarms is not None:
            point = point.at(self.false_alarms)
        self.operating_point = point
