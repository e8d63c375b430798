"""Result of a dataset check: statistics per split, and problems."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from .label_files import Problem

_NOTICES_LISTED = 5


@dataclass
class SplitStats:
    """Images of a split, pixels per id (256,), and how many images hold each id (256,)."""

    images: int = 0
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    holders: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))


@dataclass
class Report:
    """Result of :func:`mmseg.datasets.check.check_dataset`."""

    root: str
    classes: tuple[str, ...]
    ignore_index: int
    splits: dict[str, SplitStats]
    problems: list[Problem]
    notices: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if there are no problems."""
        return not self.problems

    def shares(self, split: str) -> dict[str, float]:
        """Share of each class in the pixels of a split that are not ignored, 0..1."""
        pixels = self.splits[split].pixels[: len(self.classes)]
        return dict(zip(self.classes, (pixels / max(1, pixels.sum())).tolist()))

    def table(self) -> str:
        """Class shares per split as text: share of the pixels, and in how many images the class occurs."""
        width = max(10, *(len(name) + 2 for name in self.classes))
        ignored = 0 <= self.ignore_index < 256 and self.ignore_index >= len(self.classes)
        names = [*self.classes, *(['ignored'] if ignored else [])]
        lines = ['split     images' + ''.join(f'{name:>{width + 9}}' for name in names)]
        for split, stats in self.splits.items():
            cells = []
            total = max(1, int(stats.pixels[: len(self.classes)].sum()))
            ids = [*range(len(self.classes)), *([self.ignore_index] if ignored else [])]
            for value in ids:
                share = f'{100 * stats.pixels[value] / total:.4f} %'
                cells.append(f'{share:>{width}} in{stats.holders[value]:>6}')
            lines.append(f'{split:<10}{stats.images:>6}' + ''.join(cells))
        return '\n'.join(lines)

    def problem_lines(self) -> list[str]:
        """Every problem with its files and remedy, one per line, grouped by kind."""
        return _lines(self.problems)

    def notice_lines(self) -> list[str]:
        """What to know about files that are read by a rule, in the form of :meth:`problem_lines`."""
        return _lines(self.notices, _NOTICES_LISTED)


def _lines(problems: list[Problem], limit: int | None = None) -> list[str]:
    kinds = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    lines = []
    for kind, same in kinds.items():
        lines.append(f'{kind} ({len(same)}):')
        lines += [f'  {problem}' for problem in same[:limit]]
        if limit is not None and len(same) > limit:
            lines.append(f'  and {len(same) - limit} more')
    return lines
