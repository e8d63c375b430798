"""What the operating point is chosen from, of one dataset or of several together."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmseg.utils.files import write_atomically

from .choosing import choose_point
from .counts import ImageCounts
from .matching import Rule
from .operating_point import OperatingPoint

#: File of a test's counts, beside its metrics.
COUNTS_FILE = 'inspection_counts.npz'
_ARRAYS = ('found', 'false_alarms', 'defects')
_PIXELS = 'pixels'


@dataclass(frozen=True)
class SweepCounts:
    """Counts of N images and C foreground classes at the K thresholds of the grid.

    Attributes:
        names: of the classes.
        rule: how components were matched.
        found, false_alarms: (C, N, K): defects found, and false alarms.
        defects: (C, N): labelled defects.
        pixels: (C, N, 3): pixels predicted (argmax) and labelled as the class, predicted, and labelled; None: not known,
            as in files of earlier versions.
    """

    names: tuple[str, ...]
    rule: Rule
    found: np.ndarray
    false_alarms: np.ndarray
    defects: np.ndarray
    pixels: np.ndarray | None = None

    @classmethod
    def of(cls, images: Sequence[ImageCounts], names: Sequence[str], rule: Rule) -> 'SweepCounts':
        """Of the counts of single images, at least one."""
        by_class = [[image.classes[index] for image in images] for index in range(len(names))]
        return cls(
            tuple(names),
            rule,
            np.stack([[one.sweep.found.sum(axis=0) for one in counts] for counts in by_class]),
            np.stack([[one.sweep.false_alarms for one in counts] for counts in by_class]),
            np.stack([[one.defects.sum() for one in counts] for counts in by_class]),
            np.stack([[one.pixels for one in counts] for counts in by_class]),
        )

    @property
    def images(self) -> int:
        """Their number."""
        return self.defects.shape[1]

    def choose(self, target: float) -> OperatingPoint:
        """The operating point at no more than ``target`` false alarms per image in each class."""
        points = {
            name: choose_point(self.found[i], self.false_alarms[i], self.defects[i], target)
            for i, name in enumerate(self.names)
        }
        rule = self.rule
        return OperatingPoint(points, target, self.images, rule.min_area, rule.tolerance, rule.min_overlap)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file, atomically; counts are small and compress well."""
        content = io.BytesIO()
        keys = _ARRAYS if self.pixels is None else (*_ARRAYS, _PIXELS)
        arrays = {key: getattr(self, key).astype(np.int32) for key in keys}
        rule = np.array([self.rule.min_area, self.rule.tolerance, self.rule.min_overlap], float)
        np.savez_compressed(content, names=np.array(self.names), rule=rule, **arrays)
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> 'SweepCounts':
        """Read what :meth:`save` has written.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it has another form.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                area, tolerance, overlap = file['rule'].tolist()
                arrays = [file[key] for key in _ARRAYS]
                arrays.append(file.get(_PIXELS))
                return cls(tuple(file['names'].tolist()), Rule(int(area), int(tolerance), overlap), *arrays)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise ValueError(f'{path}: no counts of an inspection ({error}); test the run again') from None

    @classmethod
    def pool(cls, parts: Sequence['SweepCounts']) -> 'SweepCounts':
        """The images of several datasets as those of one.

        Raises:
            ValueError: they have other classes or rules.
        """
        first = parts[0]
        for part in parts:
            if (part.names, part.rule) != (first.names, first.rule):
                raise ValueError(
                    f'counts of {", ".join(part.names)} by {part.rule} can not be pooled with those of '
                    f'{", ".join(first.names)} by {first.rule}; test all with the same settings'
                )
        known = all(part.pixels is not None for part in parts)
        keys = (*_ARRAYS, _PIXELS) if known else _ARRAYS
        arrays = (np.concatenate([getattr(part, key) for part in parts], axis=1) for key in keys)
        return cls(first.names, first.rule, *arrays)
