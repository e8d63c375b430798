"""Which pixels of a prediction are defects: those above the thresholds of the operating point, or by argmax."""

from dataclasses import dataclass
from typing import Any

from mmseg.evaluation.inspection import OperatingPoint


@dataclass(frozen=True)
class DecisionRule:
    """How a class id is chosen for each pixel.

    Attributes:
        point: thresholds of the foreground classes; None: each pixel gets its most probable class.
    """

    point: OperatingPoint | None = None

    @classmethod
    def choose(
        cls,
        point: OperatingPoint | None,
        classes: tuple[str, ...],
        argmax: bool = False,
        false_alarms: float | None = None,
    ) -> 'DecisionRule':
        """The rule for a model.

        Args:
            point: operating point of the model; None: it has none.
            classes: of the model, class 0 the normal one.
            argmax: take the most probable class all the same.
            false_alarms: per image and class, that the thresholds allow; None: those that the point was chosen for.

        Raises:
            ValueError: both are asked for, or the model has no operating point for ``false_alarms`` or for its classes.
        """
        if argmax and false_alarms is not None:
            raise ValueError(
                '--false-alarms chooses thresholds, and --argmax uses none; leave one of them out'
            )
        if argmax or (point is None and false_alarms is None):
            return cls()
        if point is None:
            raise ValueError(
                f'--false-alarms: {false_alarms:g}; the model has no operating point. Train it with '
                "dict(type='InspectionMetric', choose_operating_point=True) in val_evaluator, or leave the option out"
            )
        if len(point.classes) != len(classes) - 1:
            raise ValueError(
                f'the operating point has the classes {", ".join(point.classes)}, the model {", ".join(classes[1:])}; '
                'validate the model again, or use --argmax'
            )
        return cls(point if false_alarms is None else point.at(false_alarms))

    @property
    def name(self) -> str:
        """``'operating point'`` or ``'argmax'``."""
        return 'argmax' if self.point is None else 'operating point'

    @property
    def thresholds(self) -> dict[str, float | None]:
        """By class: probability from which a pixel is marked; None: never. Empty with argmax."""
        return {} if self.point is None else {n: one.threshold for n, one in self.point.classes.items()}

    def to_json(self) -> dict[str, Any]:
        """As JSON's types: the rule, and with thresholds what they allow and are."""
        if self.point is None:
            return dict(rule=self.name)
        return dict(
            rule=self.name, false_alarms_per_image=self.point.target, thresholds=dict(self.thresholds)
        )

    def __str__(self) -> str:
        if self.point is None:
            return 'by the most probable class'
        limits = (f'{name} {_limit(value)}' for name, value in self.thresholds.items())
        return f'at {self.point.target:g} false alarms per image ({", ".join(limits)})'


def _limit(threshold: float | None) -> str:
    return 'never' if threshold is None else f'from p = {threshold:.4g}'
