"""The parameters of proposed labels."""

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter

Difference = Literal['cie76', 'ciede2000']


@Parameter(name='*')
@dataclass(frozen=True)
class ProposalOptions:
    """How a label is proposed, see :func:`wtaseg.relabel.proposals.propose`. Defaults: docs/augment.md.

    Parameters
    ----------
    threshold
        colour difference in Lab from which a pixel of the edit stands out from the surface
    noise_factor
        the threshold is at least this many times the median noise of the reconstruction around the defect
    unchanged
        pixels that differ from the source by at most this share of the threshold keep the source's label
    smoothing
        standard deviation in pixels of the blur of the differences, against the noise of single pixels; 0: none
    reach
        farthest pixel from the source's defects that may become a defect
    join
        changed parts that lie farther than this from the source's defects are left out
    hole
        enclosed gaps of at most this many pixels are filled
    trust
        weight of the segmenter: a probability of a defect of 1 divides the threshold by this, one of 0 multiplies it
    difference
        formula of the colour difference
    """

    threshold: float = 7.0
    noise_factor: float = 2.5
    unchanged: float = 0.5
    smoothing: float = 0.5
    reach: int = 8
    join: int = 2
    hole: int = 30
    trust: float = 1.5
    difference: Difference = 'cie76'

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a value out of range."""
        for name, low in (('threshold', 0.1), ('noise_factor', 0), ('smoothing', 0), ('trust', 1)):
            if not getattr(self, name) >= low:
                raise ValueError(self._problem(name, f'at least {low:g}'))
        for name, low in (('reach', 1), ('join', 1), ('hole', 0)):
            if getattr(self, name) < low:
                raise ValueError(self._problem(name, f'at least {low}'))
        if not 0 <= self.unchanged <= 1:
            raise ValueError(self._problem('unchanged', 'a share from 0 to 1'))

    def _problem(self, name: str, expected: str) -> str:
        return f'--{name.replace("_", "-")}: {getattr(self, name)} found, expected {expected}'


PROPOSAL_DEFAULTS = ProposalOptions()
