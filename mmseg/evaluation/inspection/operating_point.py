"""The operating point: a threshold per class, chosen on the validation set, and where it is stored.

A checkpoint holds it as ``meta['operating_point']``, an ONNX file as JSON under the metadata key ``operating_point``;
:func:`read_operating_point` reads both.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmseg.utils.checkpoint_reading import read_checkpoint_file

from .curve import Curve
from .levels import LEVELS, thresholds

#: Key in a checkpoint's ``meta`` and in the metadata of an ONNX file.
KEY = 'operating_point'
#: Most false alarms per image and class at the operating point, unless another number is given.
FALSE_ALARMS = 0.1


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval over images; NaN where it could not be computed."""

    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class ClassPoint:
    """The operating point of one class.

    Attributes:
        threshold: a pixel with at least this probability is marked; None: the class is never marked, since every
            threshold gives more false alarms than allowed.
        found: defects found on the validation set, in percent; NaN where it has no defect of the class.
        false_alarms: per image of the validation set.
        found_interval: of ``found``, with the threshold chosen again in each resample.
        threshold_interval: of the chosen thresholds.
        curve: what the other thresholds give on the validation set; None: it was not stored.
    """

    threshold: float | None
    found: float
    false_alarms: float
    found_interval: Interval = Interval()
    threshold_interval: Interval = Interval()
    curve: Curve | None = None

    @classmethod
    def on(cls, curve: Curve, images: int, target: float) -> 'ClassPoint':
        """The point of a curve that finds most at no more than ``target`` false alarms per image, without intervals."""
        index = curve.choose(target * images)
        if index is None:
            found, alarms, threshold = 0, 0, None
        else:
            found, alarms = curve.found[index], curve.false_alarms[index]
            threshold = float(thresholds()[index])
        share = 100 * found / curve.defects if curve.defects else math.nan
        return cls(threshold, share, alarms / images, curve=curve)


@dataclass(frozen=True)
class OperatingPoint:
    """Thresholds of all foreground classes, and how they were chosen.

    Attributes:
        classes: by name, in the order of the class ids from 1.
        target: most false alarms per image that were allowed in each class.
        images: number of images of the validation set.
        min_area, tolerance, min_overlap: see :class:`.matching.Rule`.
    """

    classes: dict[str, ClassPoint]
    target: float
    images: int
    min_area: int
    tolerance: int
    min_overlap: float

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One for each foreground class; infinite where the class is never marked."""
        return tuple(
            math.inf if point.threshold is None else point.threshold for point in self.classes.values()
        )

    @property
    def mean_found(self) -> float:
        """Mean of ``found`` over the classes that have defects; NaN: none has."""
        known = [point.found for point in self.classes.values() if not math.isnan(point.found)]
        return sum(known) / len(known) if known else math.nan

    def at(self, target: float) -> 'OperatingPoint':
        """The operating point for another number of false alarms, from the stored curves of the validation set.

        Its intervals are NaN: they need the counts of each image.

        Args:
            target: most false alarms per image and class, from 0.

        Raises:
            ValueError: ``target`` is negative, or the curves were not stored.
        """
        if not target >= 0:
            raise ValueError(f'false alarms: {target:g}; expected a number per image from 0')
        if target == self.target:
            return self
        curves = {name: point.curve for name, point in self.classes.items()}
        if any(curve is None or len(curve.found) != LEVELS for curve in curves.values()):
            raise ValueError(
                f'false alarms: {target:g}; the operating point is for {self.target:g} and has no validation curves '
                f'to choose another one from; expected {self.target:g}, or a model validated with this version'
            )
        classes = {name: ClassPoint.on(curve, self.images, target) for name, curve in curves.items()}
        return replace(self, classes=classes, target=target)

    def masks(self, probabilities: Tensor) -> Tensor:
        """Where each foreground class is marked, (C - 1, H, W), bool; classes may overlap.

        Args:
            probabilities: (C, H, W) of the model's C classes, class 0 the normal one.

        Raises:
            ValueError: C does not fit the classes of the operating point.
        """
        return probabilities[1:].float() >= self._limits(probabilities)

    def segment(self, probabilities: Tensor) -> Tensor:
        """Class ids (H, W), int64, of probabilities (C, H, W).

        Of several marked classes a pixel gets the one that exceeds its threshold by the largest factor, of equal ones
        the first.

        Raises:
            ValueError: as of :meth:`masks`.
        """
        # a quotient is at least 1 exactly where the probability reaches the threshold
        factor, index = (probabilities[1:].float() / self._limits(probabilities)).max(dim=0)
        return torch.where(factor >= 1, index + 1, 0)

    def _limits(self, probabilities: Tensor) -> Tensor:
        """The thresholds (C - 1, 1, 1) where the probabilities are."""
        if probabilities.shape[0] != len(self.classes) + 1:
            raise ValueError(
                f'operating point of classes {", ".join(self.classes)}: {probabilities.shape[0]} probabilities a '
                f'pixel; expected {len(self.classes) + 1}. Validate the model to choose a new one'
            )
        return _on_device(self.thresholds, probabilities.device)[:, None, None]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for checkpoints and JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'OperatingPoint':
        """From :meth:`to_dict`.

        Raises:
            ValueError: a key is missing or unknown.
        """
        try:
            classes = {
                name: ClassPoint(
                    **{
                        **point,
                        'found_interval': Interval(**point['found_interval']),
                        'threshold_interval': Interval(**point['threshold_interval']),
                        'curve': _curve(point.get('curve')),
                    }
                )
                for name, point in values['classes'].items()
            }
            return cls(**{**values, 'classes': classes})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'operating point of another form ({error}); validate the model to choose a new one'
            ) from None


def _curve(values: Mapping[str, Any] | None) -> Curve | None:
    if values is None:
        return None
    return Curve(**{**values, 'found': tuple(values['found']), 'false_alarms': tuple(values['false_alarms'])})


@lru_cache(maxsize=32)
def _on_device(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Thresholds as float32; copied to a device once, not for each image."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def read_operating_point(source: str | Path | Mapping[str, Any]) -> OperatingPoint | None:
    """The operating point of a model; None where it has none.

    Args:
        source: a checkpoint or an ONNX file; or a checkpoint that was read; or the metadata of an ONNX file, as
            ``session.get_modelmeta().custom_metadata_map`` gives it.

    Raises:
        FileNotFoundError, ValueError: the file or what it holds can not be read.
        ImportError: an ONNX file is given and the package onnx is not installed.
    """
    if not isinstance(source, Mapping):
        source = _read(Path(source))
    meta = source.get('meta')
    values = (meta if isinstance(meta, Mapping) else source).get(KEY)
    if isinstance(values, str):
        values = json.loads(values)
    return None if values is None else OperatingPoint.from_dict(values)


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix != '.onnx':
        return read_checkpoint_file(path, 'cpu')
    import onnx

    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; wta-seg export writes it')
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
