"""Inversion of encoded images: the start latents and embeddings from which guided sampling reconstructs them.

Four methods behind one function: null-text inversion (Mokady et al. 2023), negative-prompt inversion (Miyake et
al. 2023), direct inversion, also called PnP inversion (Ju et al. 2024), and plain DDIM inversion (Dhariwal &
Nichol 2021).
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import torch
from torch import Tensor

from augment.config import INVERSION_METHODS, AugmentConfig
from augment.diffusion.model import EditModel, PromptEmbeddings, check_finite
from augment.diffusion.null_text import optimise_null_text
from augment.diffusion.sampling import Sampler, ddim_schedule

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

    def split(self) -> list['Inversion']:
        """One inversion per image."""
        return [
            replace(
                self,
                **{name: value.narrow(BATCH_AXES[name], n, 1) for name, value in self.batched().items()},
                stats={name: values[n : n + 1] for name, values in self.stats.items()},
            )
            for n in range(len(self))
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


def invert(
    model: EditModel,
    latents: Tensor,
    source_prompt: str,
    *,
    method: str = AugmentConfig.inversion,
    steps: int = AugmentConfig.steps,
    guidance: float = AugmentConfig.guidance,
    rli_alpha: float = AugmentConfig.rli_alpha,
    inner_steps: int = AugmentConfig.inner_steps,
    low_resource: bool = AugmentConfig.low_resource,
    early_stop: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Invert N encoded images ``(N, 4, h, w)`` described by one prompt.

    Args:
        method: One of INVERSION_METHODS.
        steps: DDIM steps.
        guidance: Guidance scale at which the images will be edited.
        rli_alpha: Share of the input in up-block self-attention (residual linear interpolation).
        inner_steps: Most Adam steps per DDIM step of null-text inversion.
        low_resource: With the method ddim, run conditional and unconditional passes one after the other. The other
            methods never run both together.
        early_stop: False takes every inner step, for timing.
        progress: Called with the DDIM steps done and their total, inversion and optimisation counted together.

    Raises:
        ValueError: Unknown method, or parameters out of range.
        NonFiniteError: Latents overflowed; it names the stage and the images.
    """
    _check(method, guidance, inner_steps)
    latents = check_finite(latents.to(model.device, torch.float32), 'reading the latents')
    source, null = model.encode_prompt([source_prompt, '']).split()
    on_step = _counter(progress, steps * (1 if method == 'direct' else 2))
    schedule = ddim_schedule(model.scheduler, steps)
    sampler = Sampler(model, schedule, guidance=guidance, rli_alpha=rli_alpha, low_resource=low_resource)
    settings = BranchSettings(source_prompt, None if method == 'direct' else guidance, rli_alpha)
    with sampler, torch.no_grad():
        pivots = ddim_trajectory(sampler, latents, source, on_step)
        result = Inversion(latents, pivots, settings, stats=_no_stats(len(latents)))
        if method == 'null-text':
            limits = {'inner_steps': inner_steps, 'early_stop': early_stop}
            optimum = optimise_null_text(sampler, pivots, source, null, on_step=on_step, **limits)
            result.trajectory = optimum.trajectory
            result.uncond_tokens, result.uncond_pooled = optimum.tokens, optimum.pooled
            result.stats = optimum.stats()
        elif method == 'negative-prompt':
            rows = source.expand(len(latents))
            result.uncond_tokens, result.uncond_pooled = rows.tokens[None], rows.pooled[None]
        if method in ('negative-prompt', 'ddim'):
            result.trajectory = source_branch(sampler, result, source, null, on_step)
    return result


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    """A function that reports one more of ``total`` steps to ``progress`` at each call."""
    steps = count(1)
    return (lambda: None) if progress is None else (lambda: progress(next(steps), total))


def _check(method: str, guidance: float, inner_steps: int) -> None:
    """Raise for parameters out of range; warn where the optimisation can change nothing."""
    if method not in INVERSION_METHODS:
        raise ValueError(
            f'inversion method {method!r} is unknown; expected one of {", ".join(INVERSION_METHODS)}'
        )
    if inner_steps < 0:
        raise ValueError(f'inner_steps is {inner_steps}; expected 0 or more')
    if method == 'null-text' and (guidance == 1 or inner_steps == 0):
        warnings.warn(
            f'null-text optimisation has no effect with guidance {guidance} and {inner_steps} inner steps; '
            "method='ddim' does the same in less time",
            stacklevel=3,
        )


def _no_stats(images: int) -> dict[str, list]:
    return {
        'inner_steps': [0] * images,
        'inner_losses': [[] for _ in range(images)],
        'final_losses': [[] for _ in range(images)],
    }


def ddim_trajectory(
    sampler: Sampler, latents: Tensor, source: PromptEmbeddings, on_step: Callable[[], None]
) -> Tensor:
    """DDIM inversion with the source prompt alone (guidance 1): ``(steps + 1, N, 4, h, w)`` from z*_T to z*_0.

    Raises:
        NonFiniteError: Latents overflowed.
    """
    schedule = sampler.schedule
    trajectory = torch.empty(len(schedule) + 1, *latents.shape, device=latents.device)
    trajectory[-1] = latents
    rows = source.expand(len(latents))
    for i in reversed(range(len(schedule))):
        prediction = sampler.predict(trajectory[i + 1], schedule.timesteps[i], rows)
        trajectory[i] = schedule.invert(i, trajectory[i + 1], prediction)
        on_step()
    check_finite(trajectory[0], 'DDIM inversion')
    return trajectory


def source_branch(
    sampler: Sampler,
    inversion: Inversion,
    source: PromptEmbeddings,
    null: PromptEmbeddings,
    on_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Guided sampling with the source prompt from the start of ``inversion``: ``(steps + 1, N, 4, h, w)``.

    Raises:
        NonFiniteError: Latents overflowed.
    """
    schedule, images = sampler.schedule, len(inversion)
    latents = inversion.start.to(sampler.model.device)
    trajectory = latents.repeat(len(schedule) + 1, 1, 1, 1, 1)
    rows = source.expand(images)
    for i, timestep in enumerate(schedule.timesteps):
        prediction = sampler.guided(trajectory[i], timestep, inversion.uncond(i, null), rows)
        trajectory[i + 1] = schedule.denoise(i, trajectory[i], prediction)
        on_step()
    check_finite(trajectory[-1], 'guided sampling')
    return trajectory
