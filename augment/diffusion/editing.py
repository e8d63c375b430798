"""Guided sampling of the edits of inverted images (prompt-to-prompt, Hertz et al. 2023).

The source branch is known from the inversion. So only targets are sampled, those of several words together; while they
take over attention maps, one more row an image, the source's latent of that step with its prompt, lends its maps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from augment.config import AugmentConfig
from augment.diffusion.control import AttentionControl
from augment.diffusion.inversion import source_branch
from augment.diffusion.inverted import Inversion
from augment.diffusion.local_blend import BLEND_START, BlendOptions, LocalBlend, coarsest_map
from augment.diffusion.mixing import ColumnMix
from augment.diffusion.model import EditModel, PromptEmbeddings, check_finite
from augment.diffusion.prompts import align_tokens, word_positions
from augment.diffusion.sampling import Sampler, ddim_schedule


@dataclass
class EditResult:
    """Latents ``(N, 4, h, w)`` of the source as sampling reconstructs it, and of its edit."""

    reconstruction: Tensor
    edited: Tensor


@dataclass(frozen=True)
class Target:
    """A target prompt and the word of it that is re-weighted."""

    prompt: str
    word: str


@dataclass(frozen=True)
class EditOptions:
    """Parameters of an edit.

    Attributes:
        guidance: Scale of classifier-free guidance.
        cross: Share of the steps, from the first, in which cross-attention maps are replaced and re-weighted. As in the
            published code, re-weighting ends with replacement.
        self_replace: Share of the steps in which self-attention maps are replaced.
        eq: Factor on the attention columns of the word.
        rli_alpha: Share of the input in up-block self-attention (residual linear interpolation).
        self_max_positions: Self-attention maps of more positions are never replaced.
        low_resource: Conditional and unconditional passes one after the other.
        local_blend: The published LocalBlend with these parameters: a mask made of the word's attention.
    """

    guidance: float = AugmentConfig.guidance
    cross: float = AugmentConfig.cross
    self_replace: float = AugmentConfig.self_replace
    eq: float = AugmentConfig.eq
    rli_alpha: float = AugmentConfig.rli_alpha
    self_max_positions: int = AugmentConfig.self_max_positions
    low_resource: bool = AugmentConfig.low_resource
    local_blend: BlendOptions | None = None

    @classmethod
    def of(cls, config: AugmentConfig) -> 'EditOptions':
        """Those of an augmentation."""
        by_attention = config.blend == 'attention'
        return cls(
            guidance=config.guidance,
            cross=config.cross,
            self_replace=config.self_replace,
            eq=config.eq,
            rli_alpha=config.rli_alpha,
            self_max_positions=config.self_max_positions,
            low_resource=config.low_resource,
            local_blend=BlendOptions(config.blend_threshold, config.blend_blocks) if by_attention else None,
        )

    def __post_init__(self):
        for name in ('cross', 'self_replace'):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f'{name} is {share}; expected a share of the steps between 0 and 1')


def share_of_steps(share: float, steps: int) -> int:
    """Number of steps that a share of the schedule covers, rounded down except for rounding errors."""
    return math.floor(share * steps + 1e-6)


def edit(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    target_prompt: str,
    word: str,
    *,
    latent_mask: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> EditResult:
    """``edit_words`` with one word of the target prompt; ``options`` are fields of ``EditOptions``."""
    targets = [Target(target_prompt, word)]
    (result,) = edit_words(
        model,
        inversion,
        source_prompt,
        targets,
        EditOptions(**options),
        latent_mask=latent_mask,
        progress=progress,
    )
    return result


def edit_words(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    targets: list[Target],
    options: EditOptions,
    *,
    latent_mask: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[EditResult]:
    """Sample the edits of N images with each of W targets in one batch; they take over the source's attention maps.

    Args:
        inversion: Its source branch is sampled again if it was recorded with another prompt, guidance or RLI alpha.
        latent_mask: ``(N, 1, h, w)`` in [0, 1]: where it is 0, every step restores the source's latent.
        progress: Called with the steps done and their total.

    Returns:
        One result per target.

    Raises:
        ValueError: A word is not in its target prompt, or the mask has another size.
        NonFiniteError: Latents overflowed; it names the images of the inversion.
    """
    images, size, steps = len(inversion), tuple(inversion.latent.shape[-2:]), inversion.steps
    if latent_mask is not None and tuple(latent_mask.shape) != (images, 1, *size):
        raise ValueError(f'latent_mask has shape {tuple(latent_mask.shape)}; expected {(images, 1, *size)}')
    words = len(targets)
    mask = None if latent_mask is None else latent_mask.to(model.device, torch.float32).repeat(words, 1, 1, 1)
    control = _attention_control(model, images, size, source_prompt, targets, options)
    schedule = ddim_schedule(model.scheduler, steps)
    source_latents = _source_latents(model, inversion, source_prompt, options)
    source, *prompts, null = model.encode_prompt([source_prompt, *(t.prompt for t in targets), '']).split()
    conditional, source = PromptEmbeddings.cat(prompts).repeat_each(images), source.expand(images)
    cross_steps, self_steps, blend_start = (
        share_of_steps(share, steps) for share in (options.cross, options.self_replace, BLEND_START)
    )
    latents = source_latents[0].repeat(words, 1, 1, 1)
    with _sampler(model, inversion, options, control) as sampler, torch.no_grad():
        for i, timestep in enumerate(schedule.timesteps):
            control.cross, control.self_attention = i < cross_steps, i < self_steps
            lending = (source_latents[i], source) if control.needs_sources else None
            unconditional = inversion.uncond(i, null).repeat(words)
            prediction = sampler.guided(latents, timestep, unconditional, conditional, lending)
            latents = schedule.denoise(i, latents, prediction)
            kept = source_latents[i + 1].repeat(words, 1, 1, 1)
            if mask is not None:
                latents = kept + mask * (latents - kept)
            if control.local_blend is not None and i >= blend_start:
                latents = kept + control.local_blend.mask(size) * (latents - kept)
            if progress is not None:
                progress(i + 1, steps)
    check_finite(latents.unflatten(0, (words, images)).transpose(0, 1), 'guided sampling')
    return [EditResult(source_latents[-1], edited) for edited in latents.split(images)]


def reconstruct(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    *,
    guidance: float = AugmentConfig.guidance,
    rli_alpha: float = AugmentConfig.rli_alpha,
    low_resource: bool = AugmentConfig.low_resource,
) -> Tensor:
    """Sample the source branch from the start and embeddings of ``inversion``: latents ``(N, 4, h, w)``.

    After null-text inversion this is ``inversion.reconstruction`` up to rounding.
    """
    options = EditOptions(guidance=guidance, rli_alpha=rli_alpha, low_resource=low_resource)
    return _sampled_branch(model, inversion, source_prompt, options)[-1]


def _source_latents(
    model: EditModel, inversion: Inversion, source_prompt: str, options: EditOptions
) -> Tensor:
    """Latents of the source branch ``(steps + 1, N, 4, h, w)``: as recorded, where the settings are the same."""
    if inversion.settings.hold_for(source_prompt, options.guidance, options.rli_alpha):
        return inversion.trajectory.to(model.device)
    return _sampled_branch(model, inversion, source_prompt, options)


@torch.no_grad()
def _sampled_branch(
    model: EditModel, inversion: Inversion, source_prompt: str, options: EditOptions
) -> Tensor:
    source, null = model.encode_prompt([source_prompt, '']).split()
    with _sampler(model, inversion, options) as sampler:
        trajectory = source_branch(sampler, inversion, source, null)
    check_finite(trajectory[-1], 'guided sampling')
    return trajectory


def _attention_control(
    model: EditModel,
    images: int,
    size: tuple[int, int],
    source_prompt: str,
    targets: list[Target],
    options: EditOptions,
) -> AttentionControl:
    """The control of one edit, in the buffers that graphs captured earlier read."""
    tokenizer, blend = model.tokenizers[0], options.local_blend
    positions = [word_positions(tokenizer, target.prompt, target.word) for target in targets]
    mix = ColumnMix.stack(
        [
            ColumnMix(align_tokens(tokenizer, source_prompt, target.prompt), word, options.eq, model.device)
            for target, word in zip(targets, positions)
        ]
    )
    key = ('attention control', images, len(targets), size, options.self_max_positions, blend)
    control: AttentionControl = model.kept(
        key, lambda: AttentionControl(images, mix, options.self_max_positions)
    )
    control.mix.copy_(mix)
    if blend is not None:
        columns = torch.zeros(len(targets), images, mix.from_target.shape[1], device=model.device)
        for number, word in enumerate(positions):
            columns[number, :, word] = 1
        if control.local_blend is None:
            control.local_blend = LocalBlend(coarsest_map(model.unet, size), columns.flatten(0, 1), blend)
        control.local_blend.columns.copy_(columns.flatten(0, 1))
        control.local_blend.total.zero_()
    return control


def _sampler(
    model: EditModel, inversion: Inversion, options: EditOptions, control: AttentionControl | None = None
) -> Sampler:
    """The sampler with the steps of ``inversion``."""
    return Sampler(
        model,
        ddim_schedule(model.scheduler, inversion.steps),
        guidance=options.guidance,
        rli_alpha=options.rli_alpha,
        control=control,
        low_resource=options.low_resource,
    )
