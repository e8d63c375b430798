"""Differences between the rows of a study with their intervals, as ``results.json`` holds them."""

from dataclasses import asdict, dataclass

#: The metric that decides.
MEAN_IOU = 'mIoU'


@dataclass(frozen=True)
class Difference:
    """A difference in percentage points with its 95 % interval; None: not measured."""

    mean: float | None
    low: float | None
    high: float | None

    @property
    def higher(self) -> bool:
        """Whether all of the interval is above 0."""
        return self.low is not None and self.low > 0

    @property
    def lower(self) -> bool:
        """Whether all of the interval is below 0."""
        return self.high is not None and self.high < 0

    def __str__(self) -> str:
        if self.mean is None or self.low is None or self.high is None:
            return '–'
        return f'{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f})'


@dataclass(frozen=True)
class Comparison:
    """The differences of one row from another, by metric; ``row`` and ``against`` are titles."""

    row: str
    against: str
    differences: dict[str, Difference]


@dataclass(frozen=True)
class PairedDifferences:
    """The comparisons of a study.

    Attributes:
        target: false alarms per image and class at which defects are counted as found.
        images, seeds: over how many.
        resamples: of both, for the intervals.
        comparisons: in the order of the table, each row with the first one; then others.
    """

    target: float
    images: int
    seeds: int
    resamples: int
    comparisons: tuple[Comparison, ...]

    def find(self, row: str, against: str) -> Comparison | None:
        """The comparison of two rows; None: there is none."""
        return next((c for c in self.comparisons if (c.row, c.against) == (row, against)), None)

    def to_json(self) -> dict:
        """As JSON's types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict) -> 'PairedDifferences':
        """The inverse of :meth:`to_json`."""
        comparisons = tuple(
            Comparison(
                one['row'],
                one['against'],
                {name: Difference(**values) for name, values in one['differences'].items()},
            )
            for one in content['comparisons']
        )
        numbers = (content[key] for key in ('target', 'images', 'seeds', 'resamples'))
        return cls(*numbers, comparisons)
