"""Overlapping windows for images that are larger than what a model takes at once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """Square windows at the scale of the image itself.

    Attributes:
        side: of a window in pixels.
        overlap: share of a window that the next one covers too, 0 to below 1.
    """

    side: int
    overlap: float = 0.25

    def __post_init__(self) -> None:
        if self.side < 32:
            raise ValueError(f'--window: {self.side}; expected at least 32 pixels')
        if not 0 <= self.overlap < 1:
            raise ValueError(f'--overlap: {self.overlap}; expected a share of the window from 0 to below 1')

    @property
    def stride(self) -> int:
        """Pixels from one window to the next."""
        return max(1, round(self.side * (1 - self.overlap)))

    def starts(self, length: int) -> list[int]:
        """First pixels of the windows that cover a side of ``length``; the last one ends at the border."""
        last = max(length - self.side, 0)
        return [min(step * self.stride, last) for step in range(-(-last // self.stride) + 1)]
