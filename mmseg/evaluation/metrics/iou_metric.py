"""Intersection over union and its relatives, per class and averaged."""

import warnings
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from PIL import Image

from mmseg.registry import METRICS
from mmseg.utils.files import atomic_path

#: What each entry of ``iou_metrics`` computes, in the order of the table's columns.
COLUMNS = {
    'mIoU': ('IoU', 'Acc'),
    'mDice': ('Dice', 'Acc'),
    'mFscore': ('Fscore', 'Precision', 'Recall'),
}


@METRICS.register_module()
class IoUMetric(BaseMetric):
    """Areas per class, summed over the dataset, and the metrics computed from them, in percent.

    It returns ``aAcc`` (share of correct pixels); the means over classes ``mIoU``, ``mAcc``, ``mDice``,
    ``mFscore``, ``mPrecision``, ``mRecall``, those that ``iou_metrics`` asks for; each of them per class as
    ``IoU.<class>``, ``Acc.<class>``, …; and ``foreground_mIoU``, ``foreground_mAcc``: the means without class
    0, the normal one.

    A class without a pixel in the ground truth is named in a warning. Its values per class are nan, and
    ``foreground_mIoU`` and ``foreground_mAcc`` leave it out. The other means are computed as in
    mmsegmentation: they leave out 0/0, but an absent class that was predicted somewhere counts with IoU 0.

    Args:
        ignore_index: label of pixels that do not count.
        iou_metrics: any of 'mIoU', 'mDice', 'mFscore'.
        nan_to_num: replaces nan in the values per class and in their means, as a share (1 is 100 %);
            ``foreground_mIoU`` and ``foreground_mAcc`` leave absent classes out all the same.
        beta: weight of recall in the F-score, above 0.
        collect_device: where results of several processes are gathered, 'cpu' or 'gpu'.
        output_dir: a folder for the predictions, 8-bit PNGs of ids named like their images.
        format_only: write the predictions and evaluate nothing; needs ``output_dir``.
        prefix: put before the names, with a slash.

    Raises:
        ValueError: if a name in ``iou_metrics`` is unknown, or ``format_only`` comes without ``output_dir``.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] = ('mIoU',),
        nan_to_num: int | None = None,
        beta: int = 1,
        collect_device: str = 'cpu',
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.metrics = [iou_metrics] if isinstance(iou_metrics, str) else list(iou_metrics)
        _check_names(self.metrics)
        if beta <= 0:
            raise ValueError(f'IoUMetric: beta must be above 0, got {beta}')
        if format_only and not output_dir:
            raise ValueError('IoUMetric: format_only=True writes predictions and needs output_dir=<folder>')
        if kwargs:
            warnings.warn(f'IoUMetric: {sorted(kwargs)} have no effect', stacklevel=2)
        self.ignore_index = ignore_index
        self.nan_to_num = nan_to_num
        self.beta = beta
        self.output_dir = output_dir
        self.format_only = format_only
        if output_dir and is_main_process():
            Path(output_dir).mkdir(parents=True, exist_ok=True)

    # ----------------------------------------------------------------------- one batch

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Store the areas of each sample, four vectors of C counts, and write its prediction.

        Args:
            data_batch: unused.
            data_samples: with ``pred_sem_seg`` and ``gt_sem_seg``, each ``data`` of ids (1, H, W), and
                ``img_path`` if predictions are written.
        """
        num_classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            pred = _plane(sample['pred_sem_seg']['data'])
            if not self.format_only:
                label = _plane(sample['gt_sem_seg']['data']).to(pred.device)
                if label.shape != pred.shape:
                    raise ValueError(
                        f'IoUMetric: prediction {tuple(pred.shape)} and label {tuple(label.shape)} of '
                        f'{sample.get("img_path", "a sample")} differ in size; labels must not be resized '
                        'in the test pipeline (load them after Resize)'
                    )
                areas = _areas(pred, label, num_classes, self.ignore_index)
                # on a GPU they stay until evaluate(): reading them here would make the host wait for each image
                self.results.append(areas if areas.is_cuda else areas.unbind())
            if self.output_dir is not None:
                self._write(pred, sample)

    def _write(self, pred: torch.Tensor, sample: dict) -> None:
        ids = pred.cpu().numpy()
        if sample.get('reduce_zero_label', False):  # back to the ids of the label files
            ids = ids + 1
        path = Path(self.output_dir, Path(sample['img_path']).stem + '.png')
        with atomic_path(path, sync=False) as temporary:
            Image.fromarray(ids.astype(np.uint8)).save(temporary, format='PNG')

    @staticmethod
    def intersect_and_union(
        pred_label: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixel counts per class, from one confusion matrix on the tensors' device.

        Args:
            pred_label, label: ids of the same shape; ids outside [0, num_classes) belong to no class.
            num_classes: C.
            ignore_index: pixels of this label do not count.

        Returns:
            Intersection, union, prediction and label, each (C,), int64, on the CPU.
        """
        return _areas(pred_label, label, num_classes, ignore_index).cpu().unbind()

    def evaluate(self, size: int) -> dict[str, float]:
        """mmengine's method; what the samples left on a GPU is read at once."""
        if self.results and isinstance(self.results[0], torch.Tensor):
            self.results = [areas.unbind() for areas in torch.stack(self.results).cpu()]
        return super().evaluate(size)

    # ----------------------------------------------------------------------- the dataset

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scalars of the whole dataset from the areas of all samples; prints the table per class."""
        logger: MMLogger = MMLogger.get_current_instance()
        if self.format_only:
            logger.info(f'results are saved to {self.output_dir}')
            return {}
        classes = self.dataset_meta['classes']
        areas = [sum(part).numpy() for part in zip(*results)]
        shares = self.total_area_to_metrics(*areas, self.metrics, self.nan_to_num, self.beta)
        overall = shares.pop('aAcc')
        scalars = {'aAcc': _percent(overall)}
        scalars.update({f'm{name}': _percent(_nanmean(values)) for name, values in shares.items()})
        print_log('per class results:', logger)
        print_log('\n' + _table(classes, shares), logger=logger)

        absent = areas[3] == 0
        self._warn_of(absent, logger)
        for name, values in shares.items():
            per_class = values if self.nan_to_num is not None else np.where(absent, np.nan, values)
            scalars.update({f'{name}.{c}': _percent(v) for c, v in zip(classes, per_class)})
            if name in ('IoU', 'Acc') and len(classes) > 1:
                scalars[f'foreground_m{name}'] = _percent(_nanmean(values[1:][~absent[1:]]))
        return scalars

    def metric_names(self) -> list[str]:
        """The names of :meth:`compute_metrics`, with the prefix; needs ``dataset_meta``."""
        if self.format_only:
            return []
        classes = (self.dataset_meta or {}).get('classes') or ()
        columns = list(dict.fromkeys(name for metric in self.metrics for name in COLUMNS[metric]))
        names = ['aAcc', *(f'm{name}' for name in columns)]
        for name in columns:
            names += [f'{name}.{c}' for c in classes]
            if name in ('IoU', 'Acc') and len(classes) > 1:
                names.append(f'foreground_m{name}')
        return [f'{self.prefix}/{name}' if self.prefix else name for name in names]

    def _warn_of(self, absent: np.ndarray, logger: MMLogger) -> None:
        if not absent.any():
            return
        names = ', '.join(c for c, is_absent in zip(self.dataset_meta['classes'], absent) if is_absent)
        value = 'nan' if self.nan_to_num is None else f'nan_to_num={self.nan_to_num} where they are 0/0'
        text = (
            f'IoUMetric: no pixel of class {names} in the ground truth. Its values are {value}, and foreground_mIoU '
            'and foreground_mAcc leave it out; mIoU counts it as 0 if it was predicted anywhere.'
        )
        # into the log file of the run, and to the caller
        print_log(text, logger, level=WARNING)
        warnings.warn(text, stacklevel=3)

    @staticmethod
    def total_area_to_metrics(
        total_area_intersect: np.ndarray,
        total_area_union: np.ndarray,
        total_area_pred_label: np.ndarray,
        total_area_label: np.ndarray,
        metrics: Sequence[str] = ('mIoU',),
        nan_to_num: int | None = None,
        beta: int = 1,
    ) -> dict[str, np.ndarray]:
        """Shares in [0, 1] from areas (C,): 'aAcc' (a scalar), and (C,) for everything that ``metrics`` ask for.

        Raises:
            ValueError: if a name in ``metrics`` is unknown.
        """
        metrics = [metrics] if isinstance(metrics, str) else list(metrics)
        _check_names(metrics)
        intersect, union, pred, label = (
            np.asarray(area, dtype=np.float64)
            for area in (total_area_intersect, total_area_union, total_area_pred_label, total_area_label)
        )
        with np.errstate(divide='ignore', invalid='ignore'):
            precision, recall = intersect / pred, intersect / label
            values = {
                'IoU': intersect / union,
                'Acc': recall,
                'Dice': 2 * intersect / (pred + label),
                'Fscore': (1 + beta**2) * precision * recall / (beta**2 * precision + recall),
                'Precision': precision,
                'Recall': recall,
            }
            shares = {'aAcc': intersect.sum() / label.sum()}
        shares.update({name: values[name] for metric in metrics for name in COLUMNS[metric]})
        if nan_to_num is not None:
            shares = {name: np.nan_to_num(value, nan=nan_to_num) for name, value in shares.items()}
        return shares


def _areas(
    pred_label: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int
) -> torch.Tensor:
    """Intersection, union, prediction and label of each class, int64 (4, C), on the tensors' device."""
    size = num_classes + 1  # the last row and column count what belongs to no class
    pred_label, label = pred_label.flatten().long(), label.flatten().long()
    row = torch.where((label >= 0) & (label < num_classes), label, num_classes)
    column = torch.where((pred_label >= 0) & (pred_label < num_classes), pred_label, num_classes)
    # Ignored pixels are counted in one cell after the matrix.
    cell = (row * size + column).masked_fill(label == ignore_index, size * size)
    confusion = torch.bincount(cell, minlength=size * size + 1)[:-1].view(size, size)
    intersect = confusion.diagonal()[:-1]
    of_pred = confusion.sum(0)[:-1]
    of_label = confusion.sum(1)[:-1]
    return torch.stack([intersect, of_pred + of_label - intersect, of_pred, of_label])


def _check_names(metrics: Sequence[str]) -> None:
    unknown = [name for name in metrics if name not in COLUMNS]
    if unknown:
        raise ValueError(f'IoUMetric: iou_metrics {unknown} are unknown; choose from {list(COLUMNS)}')


def _plane(ids: torch.Tensor) -> torch.Tensor:
    return ids.squeeze(0) if ids.ndim == 3 else ids


def _nanmean(values: np.ndarray) -> float:
    """The mean of what is not nan; nan, without numpy's warning, if nothing is left."""
    values = values[~np.isnan(values)]
    return values.mean() if values.size else np.nan


def _percent(share: float) -> float:
    # A plain float: it goes into checkpoints, which are read without unpickling numpy.
    return round(float(share) * 100, 2)


def _table(classes: Sequence[str], shares: dict[str, np.ndarray]) -> str:
    """Values per class in percent, framed and centred as mmsegmentation prints them."""
    columns = [['Class', *classes]]
    columns += [[name, *(str(_percent(v)) for v in values)] for name, values in shares.items()]
    widths = [max(map(len, column)) for column in columns]
    frame = '+' + '+'.join('-' * (width + 2) for width in widths) + '+'
    rows = ['| ' + ' | '.join(_centred(c, w) for c, w in zip(row, widths)) + ' |' for row in zip(*columns)]
    return '\n'.join([frame, rows[0], frame, *rows[1:], frame])


def _centred(text: str, width: int) -> str:
    """``text`` in the middle; an odd space goes left of text of even length, as in PrettyTable."""
    space = width - len(text)
    left = space // 2 + (space % 2 and len(text) % 2 == 0)
    return ' ' * left + text + ' ' * (space - left)
