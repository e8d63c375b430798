"""Inverted images: what guided sampling reconstructs and edits them from, as one value, a batch or a file."""

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from augment.diffusion.model import PromptEmbeddings

BATCH_AXES = {'latent': 0, 'trajectory': 1, 'uncond_tokens': 1, 'uncond_pooled': 1}


@dataclass(frozen=True)
class BranchSettings:
    """What the latents of a source branch depend on beside its start and unconditional embeddings.

    Attributes:
        prompt: The source prompt.
        guidance: Scale of classifier-free guidance; None where the latents don't depend on it.
        rli_alpha: RLI's share of the input in the self-attention of the up blocks.
    """

    prompt: str
    guidance: float | None
    rli_alpha: float

    def hold_for(self, prompt: str, guidance: float, rli_alpha: float) -> bool:
        """Whether the branch is also that of an edit with these values."""
        same_guidance = self.guidance is None or self.guidance == guidance
        return same_guidance and (self.prompt, self.rli_alpha) == (prompt, rli_alpha)

    def tensors(self) -> dict[str, Tensor]:
        """The content as tensors, for a safetensors file."""
        guidance = math.nan if self.guidance is None else self.guidance
        return {
            'prompt': torch.tensor(list(self.prompt.encode()), dtype=torch.uint8),
            'settings': torch.tensor([guidance, self.rli_alpha], dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> 'BranchSettings':
        """Undo ``tensors()``."""
        guidance, rli_alpha = tensors['settings'].tolist()
        prompt = bytes(tensors['prompt'].tolist()).decode()
        return cls(prompt, None if math.isnan(guidance) else guidance, rli_alpha)


@dataclass
class Inversion:
    """N inverted images.

    Attributes:
        latent: ``(N, 4, h, w)``, the encoded images z_0.
        trajectory: ``(steps + 1, N, 4, h, w)``, the source branch of guided sampling: from where it starts, z*_T, to the
            reconstruction.
        settings: What that branch was sampled with.
        uncond_tokens: ``(steps, N, 77, 2048)`` unconditional embeddings, or ``(1, N, 77, 2048)`` where all steps share
            them; None for those of the empty prompt. Float32, or the model's dtype after ``compact``.
        uncond_pooled: ``(steps or 1, N, 1280)``, with ``uncond_tokens``.
        stats: Lists with one entry per image: ``inner_steps`` (count), ``inner_losses`` (per DDIM step, before each
            inner step) and ``final_losses`` (per DDIM step, after the last). Empty lists but for null-text inversion.
    """

    latent: Tensor
    trajectory: Tensor
    settings: BranchSettings
    uncond_tokens: Tensor | None = None
    uncond_pooled: Tensor | None = None
    stats: dict[str, list] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.latent)

    @property
    def steps(self) -> int:
        """DDIM steps that the inversion was made with."""
        return len(self.trajectory) - 1

    @property
    def start(self) -> Tensor:
        """``(N, 4, h, w)``, where sampling starts, z*_T."""
        return self.trajectory[0]

    @property
    def reconstruction(self) -> Tensor:
        """``(N, 4, h, w)``, where the source branch ends."""
        return self.trajectory[-1]

    def batched(self) -> dict[str, Tensor]:
        """The tensors with an axis of images that are set."""
        return {name: getattr(self, name) for name in BATCH_AXES if getattr(self, name) is not None}

    def tensors(self) -> dict[str, Tensor]:
        """All that is set but ``stats``, as contiguous tensors: the content of a safetensors file."""
        return {name: value.contiguous() for name, value in self.batched().items()} | self.settings.tensors()

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], stats: dict[str, list]) -> 'Inversion':
        """Undo ``tensors()``."""
        fields = {name: tensors[name] for name in BATCH_AXES if name in tensors}
        return cls(**fields, settings=BranchSettings.from_tensors(tensors), stats=stats)

    def to(self, device: str | torch.device) -> 'Inversion':
        """The same inversion on ``device``."""
        return replace(self, **{name: tensor.to(device) for name, tensor in self.batched().items()})

    def compact(self, dtype: torch.dtype) -> 'Inversion':
        """The same with embeddings in ``dtype``, the model's: it converts them anyway, so results are the same bits."""
        if self.uncond_tokens is None:
            return self
        return replace(
            self, uncond_tokens=self.uncond_tokens.to(dtype), uncond_pooled=self.uncond_pooled.to(dtype)
        )

    def split(self, images: int = 1) -> list['Inversion']:
        """Inversions of at most ``images`` each."""
        return [
            replace(
                self,
                **{
                    name: value.split(images, BATCH_AXES[name])[part]
                    for name, value in self.batched().items()
                },
                stats={name: values[part * images :][:images] for name, values in self.stats.items()},
            )
            for part in range(math.ceil(len(self) / images))
        ]

    @classmethod
    def cat(cls, items: list['Inversion']) -> 'Inversion':
        """Undo ``split()``; all items must come from the same method, settings, size and steps.

        Raises:
            ValueError: They don't.
        """
        first = items[0]
        for item in items:
            same = (item.steps, item.settings) == (first.steps, first.settings)
            if not same or set(item.batched()) != set(first.batched()):
                raise ValueError(
                    'inversions of different methods, settings or steps cannot form one batch; sort them first'
                )
        joined = {
            name: torch.cat([getattr(item, name) for item in items], dim=axis)
            for name, axis in BATCH_AXES.items()
            if name in first.batched()
        }
        stats = {name: [entry for item in items for entry in item.stats[name]] for name in first.stats}
        return replace(first, **joined, stats=stats)

    def uncond(self, index: int, null: PromptEmbeddings) -> PromptEmbeddings:
        """Unconditional embeddings at step ``index``, N rows, on the device of ``null``, the empty prompt."""
        if self.uncond_tokens is None:
            return null.expand(len(self))
        index = index if len(self.uncond_tokens) > 1 else 0
        device = null.tokens.device
        return PromptEmbeddings(self.uncond_tokens[index].to(device), self.uncond_pooled[index].to(device))
