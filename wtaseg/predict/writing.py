"""What a prediction leaves on disk."""

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from mmseg.visualization.overlay import Legend, Panel, compose
from wtaseg.io import write
from wtaseg.labels.shapes import run_lengths
from wtaseg.predict.inputs import Source
from wtaseg.predict.predictor import Prediction
from wtaseg.predict.regions import Defect
from wtaseg.predict.rule import DecisionRule

CSV_FILE, COCO_FILE = 'defects.csv', 'defects.json'
COLUMNS = ('image', 'class', 'x', 'y', 'width', 'height', 'area')
COLUMNS += ('centroid_x', 'centroid_y', 'mean_probability', 'max_probability', 'rule', 'threshold')
#: The value of probability 1 in a 16-bit image.
FULL = 65535


@dataclass
class Output:
    """Writes the results of one image after the other into a folder, and the lists of all defects at the end.

    Attributes:
        folder: of all results.
        probabilities: also write a 16-bit PNG of the probability of each class, 65535 being 1.
        rule: by which the pixels were marked.
    """

    folder: Path
    probabilities: bool = False
    rule: DecisionRule = field(default_factory=DecisionRule)
    _rows: list[tuple] = field(default_factory=list)
    _images: list[dict] = field(default_factory=list)
    _annotations: list[dict] = field(default_factory=list)
    _classes: tuple[str, ...] = ()

    def add(self, source: Source, prediction: Prediction) -> None:
        """Write ``labels/NAME.png``, ``overlays/NAME.png`` and, where asked for, ``probabilities/NAME/CLASS.png``."""
        write(self.folder / f'labels/{source.stem}.png', _png(prediction.labels))
        legend = Legend.of(prediction.classes, prediction.palette)
        panels = [
            Panel('Image', prediction.image),
            Panel('Prediction', prediction.image, prediction.labels),
        ]
        overlay = compose(panels, legend, source.name)
        write(self.folder / f'overlays/{source.stem}.png', _png(overlay[..., ::-1]))
        if self.probabilities:
            for name, scores in zip(prediction.classes, prediction.probabilities):
                levels = np.rint(scores * FULL).astype(np.uint16)
                file = name.replace('/', '_')
                write(self.folder / f'probabilities/{source.stem}/{file}.png', _png(levels))
        self._classes = prediction.classes
        height, width = prediction.labels.shape
        number = len(self._images) + 1
        self._images.append(dict(id=number, file_name=source.name, width=width, height=height))
        for defect, mask in prediction.regions:
            self._rows.append(_row(source.name, defect, self.rule))
            self._annotations.append(
                _annotation(len(self._annotations) + 1, number, defect, mask, (height, width))
            )

    @property
    def defects(self) -> int:
        """How many defects there are so far."""
        return len(self._rows)

    def finish(self) -> None:
        """Write ``defects.csv`` and ``defects.json``."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator='\n')
        writer.writerows([COLUMNS, *self._rows])
        # the mark lets spreadsheets read Korean names
        write(self.folder / CSV_FILE, '\ufeff' + stream.getvalue())
        categories = [dict(id=index, name=name) for index, name in enumerate(self._classes) if index]
        content = dict(
            info=self.rule.to_json(),
            images=self._images,
            categories=categories,
            annotations=self._annotations,
        )
        write(self.folder / COCO_FILE, json.dumps(content, ensure_ascii=False))


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode('.png', np.ascontiguousarray(pixels))[1].tobytes()


def _row(image: str, defect: Defect, rule: DecisionRule) -> tuple:
    numbers = (*defect.centroid, defect.mean_probability, defect.max_probability)
    centroid = tuple(f'{value:.2f}' for value in numbers[:2])
    probabilities = tuple(f'{value:.4f}' for value in numbers[2:])
    threshold = rule.thresholds.get(defect.name)
    by = (rule.name, '' if threshold is None else f'{threshold:.6g}')
    return (image, defect.name, *defect.box, defect.area, *centroid, *probabilities, *by)


def _annotation(number: int, image: int, defect: Defect, mask: np.ndarray, size: tuple[int, int]) -> dict:
    """An annotation in COCO's form; the mask is exact, as run lengths."""
    return dict(
        id=number,
        image_id=image,
        category_id=defect.class_id,
        bbox=list(defect.box),
        area=defect.area,
        segmentation=dict(size=list(size), counts=run_lengths(mask, defect.box[:2], size)),
        iscrowd=0,
        score=round(defect.mean_probability, 4),
    )
