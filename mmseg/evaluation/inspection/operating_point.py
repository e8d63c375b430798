"""The operating point: a threshold per class, chosen on the validation set, and where it is stored.

A checkpoint holds it as ``meta['operating_point']``, an ONNX file as JSON under the metadata key ``operating_point``;
:func:`read_operating_point` reads both.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmseg.utils.checkpoint_reading import read_checkpoint_file

#: Key in a checkpoint's ``meta`` and in the metadata of an ONNX file.
KEY = 'operating_point'


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval over images; NaN where it could not be computed."""

    low: float
    high: float


@dataclass(frozen=True)
class ClassPoint:
    """The operating point of one class.

    Attributes:
        threshold: a pixel with at least this probability is marked; None: the class is never marked, since every
            threshold gives more false alarms than allowed.
        found: defects found on the validation set, in percent; NaN where it has no defect of the class.
        false_alarms: per image of the validation set.
        found_interval: of ``found``, with the threshold chosen anew in each resample.
        threshold_interval: of the chosen thresholds.
    """

    threshold: float | None
    found: float
    false_alarms: float
    found_interval: Interval
    threshold_interval: Interval


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
            float('inf') if point.threshold is None else point.threshold for point in self.classes.values()
        )

    def masks(self, probabilities: Tensor) -> Tensor:
        """Where each foreground class is marked, (C - 1, H, W), bool; classes may overlap.

        Args:
            probabilities: (C, H, W) of the model's C classes, class 0 the normal one.

        Raises:
            ValueError: C does not fit the classes of the operating point.
        """
        if probabilities.shape[0] != len(self.classes) + 1:
            raise ValueError(
                f'operating point of classes {", ".join(self.classes)}: {probabilities.shape[0]} probabilities a '
                f'pixel; expected {len(self.classes) + 1}. Validate the model to choose a new one'
            )
        limits = torch.tensor(self.thresholds, dtype=torch.float32, device=probabilities.device)
        return probabilities[1:].float() >= limits[:, None, None]

    def segment(self, probabilities: Tensor) -> Tensor:
        """Class ids (H, W), int64, of probabilities (C, H, W).

        Of several marked classes a pixel gets the one that exceeds its threshold by the largest factor.
        """
        masks = self.masks(probabilities)
        limits = torch.tensor(self.thresholds, device=probabilities.device)[:, None, None]
        excess = torch.where(masks, probabilities[1:] / limits, 0.0)
        return torch.where(masks.any(dim=0), excess.argmax(dim=0) + 1, 0)

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
                    }
                )
                for name, point in values['classes'].items()
            }
            return cls(**{**values, 'classes': classes})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'operating point of another form ({error}); validate the model to choose a new one'
            ) from None


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
