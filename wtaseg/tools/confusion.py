"""The confusion matrix of predictions in a folder."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config

from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules
from wtaseg.io import write
from wtaseg.report.plots import png

#: Up to this many classes, the cells of the drawing hold their numbers.
MAX_NUMBERED = 30


@dataclass(frozen=True)
class ConfusionMatrix:
    """Pixels of each class (rows) by the class that was predicted (columns).

    Attributes:
        classes: names, in the order of the ids.
        counts: int64, (number of classes, number of classes).
    """

    classes: tuple[str, ...]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Percent of the pixels of each row; NaN in the rows of classes without a pixel."""
        total = self.counts.sum(axis=1, keepdims=True)
        return np.divide(100.0 * self.counts, total, out=np.full(self.counts.shape, np.nan), where=total > 0)

    def save(self, folder: Path, title: str, color_theme: str) -> list[Path]:
        """Write confusion_matrix.csv, of counts, and confusion_matrix.png, of shares, into a folder."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(['label \\ prediction', *self.classes])
        writer.writerows([name, *row] for name, row in zip(self.classes, self.counts.tolist()))
        files = folder / 'confusion_matrix.csv', folder / 'confusion_matrix.png'
        folder.mkdir(parents=True, exist_ok=True)
        write(files[0], text.getvalue())
        write(files[1], png(self.draw(title, color_theme)))
        return list(files)

    def draw(self, title: str, color_theme: str) -> Figure:
        """The shares as a coloured grid.

        Raises:
            ValueError: matplotlib has no such colour map.
        """
        count = len(self.classes)
        side = max(4.0, 0.55 * count + 2)
        figure = Figure(figsize=(side + 1, side), layout='constrained')
        axes = figure.subplots()
        shares = self.shares
        drawn = axes.imshow(shares, cmap=color_theme, vmin=0, vmax=100)
        figure.colorbar(drawn, label='percent of the label')
        axes.set(title=title, xlabel='prediction', ylabel='label')
        axes.set_xticks(range(count), self.classes, rotation=45, ha='right', rotation_mode='anchor')
        axes.set_yticks(range(count), self.classes)
        for row, column in np.ndindex(shares.shape) if count <= MAX_NUMBERED else ():
            share = shares[row, column]
            if np.isfinite(share):
                red, green, blue, _ = drawn.cmap(drawn.norm(share))
                colour = 'black' if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else 'white'
                axes.text(column, row, f'{share:.4g}', ha='center', va='center', color=colour, fontsize=8)
        return figure


def confusion_matrix(cfg: Config, predictions: Path) -> ConfusionMatrix:
    """Compare predictions with the labels of the test set.

    Args:
        cfg: config of the experiment.
        predictions: folder of ``wta-seg test --out``: PNGs of class ids, named as the images.

    Raises:
        FileNotFoundError: an image has no prediction.
        ValueError: a prediction has another size than its label, or an id that is no class.
    """
    register_all_modules()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    loader = dataset.label_loader()
    classes = tuple(dataset.metainfo['classes'])
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = predictions / f'{Path(info["img_path"]).stem}.png'
        counts += _counts(loader(info)['gt_seg_map'], _read(path), path, len(classes), dataset.ignore_index)
    return ConfusionMatrix(classes, counts)


def _read(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such prediction, expected one per image of the test set; write them with '
            f'wta-seg test CONFIG CHECKPOINT --out {path.parent}'
        )
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)


def _counts(
    label: np.ndarray, predicted: np.ndarray | None, path: Path, classes: int, ignored: int
) -> np.ndarray:
    if predicted is None or predicted.shape != label.shape:
        shape = 'no image' if predicted is None else predicted.shape
        raise ValueError(f'{path}: is {shape}, expected class ids in the size of the label, {label.shape}')
    counted = label != ignored
    label, predicted = label[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for name, ids in (('prediction', predicted), ('label', label)):
        if ids.size and ids.max() >= classes:
            raise ValueError(f'{path}: the {name} has the id {ids.max()}, expected ids below {classes}')
    return np.bincount(classes * label + predicted, minlength=classes**2).reshape(classes, classes)
