"""One region of one image on its way from source to edit, and its judgement."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from augment.config import AugmentConfig
from augment.dataset.components import ComponentRecord, Stages, find_components, measure_components, worst_of
from augment.dataset.gates import reasons_against
from augment.dataset.judge import Verdict
from augment.dataset.plan import PlannedImage
from augment.dataset.quality import measure
from augment.dataset.reading import Sample
from augment.dataset.regions import Region, cut, paste, resize, to_working, working_mask
from augment.dataset.rows import RegionRecord
from augment.diffusion.inverted import Inversion
from augment.diffusion.model import NonFiniteError


@dataclass
class Piece:
    """One region of one image: ``image`` at native size, other arrays ``(H, W, 3)`` uint8 at the working size.

    ``edits`` and ``failures`` are by word: what the editor made, and why it made nothing.
    """

    sample: Sample
    image: np.ndarray
    region: Region
    source: np.ndarray
    round_trip: np.ndarray | None = None
    inversion: Inversion | None = None
    problem: str = ''
    edited: np.ndarray | None = None
    reconstruction: np.ndarray | None = None
    edits: dict[str, np.ndarray] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def with_word(self, word: str) -> 'Piece':
        """The same piece with ``edited`` from ``edits`` and ``problem``, where it has none, from ``failures``."""
        problem = self.problem or self.failures.get(word, '')
        return replace(self, edited=self.edits.get(word), problem=problem)

    def judge(self, config: AugmentConfig, verdict: Verdict | None = None) -> RegionRecord:
        """Where the region is, its figures, and whether its edit is accepted.

        ``verdict`` is the segmenter's on the whole image.
        """
        box, size = list(self.region.box), list(self.region.size)
        if self.problem:
            return RegionRecord(box=box, size=size, accepted=False, reasons=[self.problem])
        assert self.edited is not None and self.inversion is not None
        mask = working_mask(self.region)
        metrics = measure(self.source, self.round_trip, self.reconstruction, self.edited, mask)
        components = self.components(verdict)
        metrics = replace(metrics, **dict(worst_of(components)))
        reasons = reasons_against(metrics, config, components)
        return RegionRecord(
            box=box,
            size=size,
            accepted=not reasons,
            reasons=reasons,
            metrics=metrics,
            inner_steps=self.inversion.stats['inner_steps'][0],
            components=components,
        )

    def components(self, verdict: Verdict | None) -> list[ComponentRecord]:
        """Figures of the defects in the region, at native size and with the edit as it is pasted."""
        box, native = self.region.box, self.region.weight.shape
        assert self.round_trip is not None and self.reconstruction is not None and self.edited is not None
        stages = Stages(
            source=cut(self.image, box),
            round_trip=resize(self.round_trip, native),
            reconstruction=resize(self.reconstruction, native),
            edited=cut(paste(self.image, self.edited, self.region), box),
        )
        components = find_components(cut(self.sample.class_ids(), box), self.region.mask)
        judging = verdict.cut(box).figures if verdict else None
        return measure_components(components, stages, (box[0], box[1]), judging)


def cut_pieces(group: list[PlannedImage]) -> list[Piece]:
    """The regions of a group of images, cut out and resized."""
    pieces = []
    for planned in group:
        image = planned.sample.pixels()
        pieces += [Piece(planned.sample, image, r, to_working(image, r)) for r in planned.regions]
    return pieces


def batches(pieces: list[Piece], batch_size: int) -> Iterator[list[Piece]]:
    """Pieces of one size without a problem, at most ``batch_size`` together."""
    for size in sorted({p.region.size for p in pieces}):
        usable = [p for p in pieces if p.region.size == size and not p.problem]
        for start in range(0, len(usable), batch_size):
            yield usable[start : start + batch_size]


def without_broken(batch: list[Piece], work: Callable[[list[Piece]], None]) -> None:
    """Run ``work`` on the pieces without a problem; those whose values are not finite get one and are left out."""
    pieces = [p for p in batch if not p.problem]
    while pieces:
        try:
            return work(pieces)
        except NonFiniteError as error:
            assert error.images
            for number in error.images:
                pieces[number].problem = f'non-finite values after {error.stage}'
            pieces = [p for p in pieces if not p.problem]
    return None


def to_tensor(images: Iterable[np.ndarray]) -> Tensor:
    """Images ``(H, W, 3)`` uint8 to float32 ``(N, 3, H, W)`` in [-1, 1]."""
    return torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(images: Tensor) -> np.ndarray:
    """Images ``(N, 3, H, W)`` in [-1, 1] to ``(N, H, W, 3)`` uint8."""
    levels = ((images.float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
