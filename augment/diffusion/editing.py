"""Guided sampling of a source and its edit side by side (prompt-to-prompt, Hertz et al. 2023)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from augment.config import AugmentConfig
from augment.diffusion.control import AttentionControl
from augment.diffusion.inversion import Inversion
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
    guidance: float = AugmentConfig.guidance,
    cross: float = AugmentConfig.cross,
    self_replace: float = AugmentConfig.self_replace,
    eq: float = AugmentConfig.eq,
    rli_alpha: float = AugmentConfig.rli_alpha,
    self_max_positions: int = AugmentConfig.self_max_positions,
    low_resource: bool = AugmentConfig.low_resource,
    latent_mask: Tensor | None = None,
    local_blend: BlendOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EditResult:
    """Sample source and target together; the target takes over the source's attention maps.

    Args:
        word: A word of the target prompt; its attention columns are multiplied by ``eq``.
        cross: Share of the steps, from the first, in which cross-attention maps are replaced and re-weighted. As
            in the published code, re-weighting ends with replacement.
        self_replace: Share of the steps in which self-attention maps are replaced.
        self_max_positions: Self-attention maps of more positions are never replaced.
        low_resource: Conditional and unconditional passes one after the other.
        latent_mask: ``(N, 1, h, w)`` in [0, 1]: where it is 0, every step restores the source's latent.
        local_blend: The published LocalBlend with these parameters: the same with a mask made of the word's attention.
        progress: Called with the steps done and their total.

    Raises:
        ValueError: The word is not in the target prompt, or a parameter is out of range.
        NonFiniteError: Latents overflowed.
    """
    for name, share in (('cross', cross), ('self_replace', self_replace)):
        if not 0 <= share <= 1:
            raise ValueError(f'{name} is {share}; expected a share of the steps between 0 and 1')
    images, size, steps = len(inversion), tuple(inversion.latent.shape[-2:]), inversion.steps
    if latent_mask is not None and tuple(latent_mask.shape) != (images, 1, *size):
        raise ValueError(f'latent_mask has shape {tuple(latent_mask.shape)}; expected {(images, 1, *size)}')
    mask = None if latent_mask is None else latent_mask.to(model.device, torch.float32)
    prompts = Prompts(source_prompt, target_prompt, word)
    control = _attention_control(model, images, size, prompts, eq, self_max_positions, local_blend)
    sampler = _sampler(model, inversion, guidance, rli_alpha, low_resource, control)
    shares = share_of_steps(cross, steps), share_of_steps(self_replace, steps)
    hooks = EditHooks(control, *shares, share_of_steps(BLEND_START, steps), mask, progress, steps)
    return EditResult(*_sample(sampler, inversion, [source_prompt, target_prompt], hooks).chunk(2))


@dataclass
class EditHooks:
    """What an edit does around each sampling step.

    Attributes:
        control: Switched on and off by ``before``.
        cross_steps: Steps with edited cross-attention, from the first.
        self_steps: Steps with replaced self-attention.
        blend_start: First step after which LocalBlend is applied.
        mask: ``(N, 1, h, w)`` in [0, 1] or None: where it is 0, the source's latent is restored.
        progress: Called with the steps done and their total.
        steps: That total.
    """

    control: AttentionControl
    cross_steps: int
    self_steps: int
    blend_start: int
    mask: Tensor | None
    progress: Callable[[int, int], None] | None
    steps: int

    def before(self, index: int) -> None:
        """Switch the attention control for step ``index``."""
        self.control.cross = index < self.cross_steps
        self.control.self_attention = index < self.self_steps

    def after(self, index: int, latents: Tensor) -> Tensor:
        """Restore the source outside the masks in ``latents`` ``(2N, 4, h, w)``, sources first."""
        source, target = latents.chunk(2)
        if self.mask is not None:
            target = source + self.mask * (target - source)
        blend = self.control.local_blend
        if blend is not None and index >= self.blend_start:
            target = source + blend.mask(tuple(latents.shape[-2:])) * (target - source)
        if self.progress is not None:
            self.progress(index + 1, self.steps)
        return torch.cat([source, target])


def reconstruct(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    *,
    guidance: float = AugmentConfig.guidance,
    rli_alpha: float = AugmentConfig.rli_alpha,
    low_resource: bool = AugmentConfig.low_resource,
) -> Tensor:
    """The source branch of ``edit`` alone: latents ``(N, 4, h, w)``."""
    sampler = _sampler(model, inversion, guidance, rli_alpha, low_resource)
    return _sample(sampler, inversion, [source_prompt])


@dataclass(frozen=True)
class Prompts:
    """The two prompts of an edit and the word of the target that is re-weighted."""

    source: str
    target: str
    word: str


def _attention_control(
    model: EditModel,
    images: int,
    size: tuple[int, int],
    prompts: Prompts,
    eq: float,
    self_max_positions: int,
    local_blend: BlendOptions | None,
) -> AttentionControl:
    """The control of one edit, in the buffers that graphs captured earlier read."""
    tokenizer = model.tokenizers[0]
    positions = word_positions(tokenizer, prompts.target, prompts.word)
    mix = ColumnMix(align_tokens(tokenizer, prompts.source, prompts.target), positions, eq, model.device)
    key = ('attention control', images, size, self_max_positions, local_blend)
    control: AttentionControl = model.kept(key, lambda: AttentionControl(images, mix, self_max_positions))
    control.mix.copy_(mix)
    if local_blend is not None:
        columns = torch.zeros(2 * images, len(mix.from_target), device=model.device)
        columns[images:, positions] = 1
        if control.local_blend is None:
            control.local_blend = LocalBlend(coarsest_map(model.unet, size), columns, local_blend)
        control.local_blend.columns.copy_(columns)
        control.local_blend.total.zero_()
    return control


def _sampler(
    model: EditModel,
    inversion: Inversion,
    guidance: float,
    rli_alpha: float,
    low_resource: bool,
    control: AttentionControl | None = None,
) -> Sampler:
    """The sampler with the steps of ``inversion``."""
    return Sampler(
        model,
        ddim_schedule(model.scheduler, inversion.steps),
        guidance=guidance,
        rli_alpha=rli_alpha,
        control=control,
        low_resource=low_resource,
    )


def _sample(
    sampler: Sampler, inversion: Inversion, prompts: list[str], hooks: EditHooks | None = None
) -> Tensor:
    """Guided sampling of ``len(prompts)`` branches from the same starts; rows are ordered branch by branch."""
    model, schedule = sampler.model, sampler.schedule
    images, branches = len(inversion), len(prompts)
    encoded = model.encode_prompt([*prompts, ''])
    null = PromptEmbeddings(encoded.tokens[-1:], encoded.pooled[-1:])
    conditional = PromptEmbeddings(
        encoded.tokens[:-1].repeat_interleave(images, dim=0),
        encoded.pooled[:-1].repeat_interleave(images, dim=0),
    )
    latents = inversion.start.to(model.device).repeat(branches, 1, 1, 1)
    with sampler, torch.no_grad():
        for i, timestep in enumerate(schedule.timesteps):
            if hooks is not None:
                hooks.before(i)
            unconditional = PromptEmbeddings.cat([inversion.uncond(i, null)] * branches)
            prediction = sampler.guided(latents, timestep, unconditional, conditional)
            latents = schedule.denoise(i, latents, prediction)
            if inversion.residuals is not None:
                latents[:images] += inversion.residuals[i].to(latents)
            if hooks is not None:
                latents = hooks.after(i, latents)
    # A source and its target are one image: positions in the error are those of the inversion.
    check_finite(latents.unflatten(0, (branches, images)).transpose(0, 1), 'guided sampling')
    return latents
