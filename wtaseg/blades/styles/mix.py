"""Which image of a dataset gets which style."""

from dataclasses import dataclass

import numpy as np

from .redraw import STYLES

#: The word for an image without a style.
NONE = 'none'

#: Step of the additive recurrence: any stretch of consecutive images meets the shares.
_STEP = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class StyleMix:
    """Words and the share of the images that each is given.

    Attributes:
        shares: Pairs of word and share, in the order of ``STYLES`` after ``NONE``; the shares sum to 1.
    """

    shares: tuple[tuple[str, float], ...] = ((NONE, 1.0),)

    @classmethod
    def parse(cls, words: tuple[str, ...] | list[str]) -> 'StyleMix':
        """The mix that ``('rust', 'peeling')`` or ``('none=0.5', 'rust=0.5')`` describe; nothing: no style.

        Raises:
            ValueError: An unknown or repeated word, a share for some words only, shares that do not sum to 1.
        """
        if not words:
            return cls()
        known = (NONE, *STYLES)
        names, shares = [], []
        for entry in words:
            name, equals, share = entry.partition('=')
            if name not in known:
                raise ValueError(f'--style {entry}: no such style; take some of {", ".join(known)}.')
            if name in names:
                raise ValueError(f'--style {entry}: {name} is given twice; name each style once.')
            names.append(name)
            if equals:
                shares.append(_share(entry, share))
        if shares and len(shares) < len(names):
            raise ValueError(f'--style {" ".join(words)}: give a share to every word (rust=0.5) or to none.')
        if shares and abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f'--style {" ".join(words)}: the shares sum to {sum(shares):g}, not to 1.')
        given = dict(zip(names, shares or [1 / len(names)] * len(names)))
        return cls(tuple((name, given[name]) for name in known if name in given))

    @property
    def styled(self) -> bool:
        """Whether any image gets a style."""
        return any(word != NONE and share > 0 for word, share in self.shares)

    def word(self, seed: int, number: int, index: int) -> str | None:
        """The word of image ``index`` of the split with number ``number``; None for no style."""
        start = np.random.default_rng([seed, number, 1]).random()
        u = (start + (index + 1) * _STEP) % 1.0
        edges = np.cumsum([share for _, share in self.shares])
        word = self.shares[min(int(np.searchsorted(edges, u, side='right')), len(edges) - 1)][0]
        return None if word == NONE else word


def _share(entry: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f'--style {entry}: {text!r} is no share between 0 and 1; write e.g. rust=0.25.')
    return share
