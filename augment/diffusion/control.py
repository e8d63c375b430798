"""Control of prompt-to-prompt: which attention maps of a batch are edited at a sampling step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from augment.config import AugmentConfig
from augment.diffusion.local_blend import LocalBlend
from augment.diffusion.mixing import ColumnMix


@dataclass(eq=False)
class AttentionControl:
    """Prompt-to-prompt on the last rows of a batch: N sources, then the targets of each of W words.

    Attributes:
        images: N.
        mix: Edit of the cross-attention maps, of W words.
        self_max_positions: Self-attention maps of more positions are never replaced.
        local_blend: Collects the word's maps, where LocalBlend is on.
        cross: Whether cross-attention is edited at this step.
        self_attention: Whether self-attention is replaced at this step.
    """

    images: int
    mix: ColumnMix
    self_max_positions: int = AugmentConfig.self_max_positions
    local_blend: LocalBlend | None = None
    cross: bool = False
    self_attention: bool = False

    def phase(self) -> tuple:
        """What the control does at this step, for the key of a captured graph."""
        return self.cross, self.self_attention, self.self_max_positions, self.local_blend is not None

    @property
    def needs_sources(self) -> bool:
        """Whether a target takes over maps at this step; without, the batch has no source rows."""
        return self.cross or self.self_attention

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Plain attention inside the block, for a pass without conditional rows."""
        before = self.cross, self.self_attention, self.local_blend
        self.cross, self.self_attention, self.local_blend = False, False, None
        try:
            yield
        finally:
            self.cross, self.self_attention, self.local_blend = before

    def rows(self, batch: int) -> tuple[slice, slice]:
        """The source rows and the target rows of a batch of ``batch`` rows."""
        targets = batch - self.images * len(self.mix)
        return slice(targets - self.images, targets), slice(targets, batch)
