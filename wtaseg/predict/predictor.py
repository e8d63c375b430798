"""What every model that predicts has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mmseg.evaluation.inspection import OperatingPoint
from mmseg.visualization.display import to_display
from wtaseg.palette import Color
from wtaseg.predict.regions import Defect, find_defects
from wtaseg.predict.rule import DecisionRule


@dataclass(frozen=True)
class LoadedImage:
    """An image as the model's loader reads it, and what the model takes.

    Attributes:
        pixels: ``(H, W[, C])`` in BGR order.
        inputs: whatever the model's :meth:`Predictor.probabilities` needs.
        size: (height, width) of the network's input; images of one size fit into one batch.
    """

    pixels: np.ndarray
    inputs: object
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The classes of one image.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB, upright.
        labels: class ids ``(H, W)`` uint8.
        probabilities: of the classes, ``(C, H, W)`` float32, 0 to 1; they add up to 1.
        classes: names in the order of the ids; 0 is the normal class.
        palette: one RGB colour each.
    """

    image: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    palette: tuple[Color, ...]

    @cached_property
    def regions(self) -> list[tuple[Defect, np.ndarray]]:
        """Every defect and its mask in its box, see :func:`find_defects`."""
        return find_defects(self.labels, self.probabilities, self.classes)

    @property
    def defects(self) -> list[Defect]:
        """The connected regions of all classes but the normal one."""
        return [defect for defect, _ in self.regions]


class Predictor(ABC):
    """A model with its own preprocessing.

    Attributes:
        classes: names in the order of the ids.
        palette: one RGB colour each.
        operating_point: of the model; None: it has none.
        rule: which pixels are marked; to begin with by the most probable class.
    """

    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    operating_point: OperatingPoint | None = None
    rule: DecisionRule = DecisionRule()

    @abstractmethod
    def load(self, image: str | Path | np.ndarray) -> LoadedImage:
        """Read an image file, or take an array ``(H, W, 3)`` in BGR order.

        Raises:
            OSError, ValueError: the file is missing or can not be decoded.
        """

    @abstractmethod
    def probabilities(self, images: Sequence[LoadedImage]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Labels ``(H, W)`` uint8 by :attr:`rule` and probabilities ``(C, H, W)`` of images whose inputs have one size."""

    def predict_loaded(self, images: Sequence[LoadedImage]) -> list[Prediction]:
        """Predict images whose inputs have one size, in one batch."""
        results = self.probabilities(images)
        return [
            Prediction(to_display(image.pixels), labels, probabilities, self.classes, self.palette)
            for image, (labels, probabilities) in zip(images, results)
        ]

    def predict(self, image: str | Path | np.ndarray) -> Prediction:
        """Predict one image file, or an array ``(H, W, 3)`` in BGR order.

        Raises:
            OSError, ValueError: the file is missing or can not be decoded.
        """
        return self.predict_loaded([self.load(image)])[0]
