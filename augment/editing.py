"""Guided sampling of a source and its edit side by side (prompt-to-prompt, Hertz et al. 2023)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import ColumnMix, PromptEdit, WordMaps, attention_control, coarsest_map
from .inversion import Inversion
from .model import EditModel, PromptEmbeddings, check_finite
from .prompts import align_tokens, word_positions
from .sampling import Schedule, ddim_schedule, guided_prediction

# LocalBlend of the published code: first step with blending, threshold on the normalised map, dilation
BLEND_START = 0.2
BLEND_THRESHOLD = 0.3
BLEND_DILATION = 3


@dataclass
class EditResult:
    """Latents ``(N, 4, h, w)`` of the source as sampling reconstructs it, and of its edit."""

    reconstruction: Tensor
    edited: Tensor


def share_of_steps(share: float, steps: int) -> int:
    """Number of steps that a share of the schedule covers, rounded down but for rounding errors."""
    return math.floor(share * steps + 1e-6)


def edit(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    target_prompt: str,
    word: str,
    *,
    guidance: float = 15.0,
    cross: float = 0.4,
    self_replace: float = 0.3,
    eq: float = 2.0,
    rli_alpha: float = 0.1,
    self_max_positions: int = 32 * 32,
    low_resource: bool = False,
    latent_mask: Tensor | None = None,
    local_blend: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> EditResult:
    """Sample source and target together, the target borrowing the source's attention.

    Args:
        word: Stands in the target prompt; its attention columns are multiplied by ``eq``.
        cross: Share of the steps, from the first, in which cross-attention maps are replaced and re-weighted. As
            in the published code, re-weighting ends with replacement.
        self_replace: Share of the steps in which self-attention maps are replaced.
        self_max_positions: Self-attention maps of more positions are never replaced.
        low_resource: Conditional and unconditional passes one after the other.
        latent_mask: ``(N, 1, h, w)`` in [0, 1]: where it is 0, every step puts the source's latent back.
        local_blend: The published LocalBlend: the same with a mask made of the word's attention maps.
        progress: Called with the steps done and their total.

    Raises:
        ValueError: The word is not in the target prompt, or a parameter is out of range.
        NonFiniteError: Latents overflowed.
    """
    for name, share in (('cross', cross), ('self_replace', self_replace)):
        if not 0 <= share <= 1:
            raise ValueError(f'{name} is {share}; expected a share of the steps between 0 and 1')
    images, size = len(inversion), tuple(inversion.latent.shape[-2:])
    if latent_mask is not None and tuple(latent_mask.shape) != (images, 1, *size):
        raise ValueError(f'latent_mask has shape {tuple(latent_mask.shape)}; expected {(images, 1, *size)}')
    control = _prompt_edit(
        model, images, size, source_prompt, target_prompt, word, eq, self_max_positions, local_blend
    )
    steps = inversion.steps
    mask = None if latent_mask is None else latent_mask.to(model.device, torch.float32)

    def before_step(index: int) -> None:
        control.cross = index < share_of_steps(cross, steps)
        control.self_attention = index < share_of_steps(self_replace, steps)

    def after_step(index: int, latents: Tensor) -> Tensor:
        source, target = latents.chunk(2)
        if mask is not None:
            target = source + mask * (target - source)
        if control.word_maps is not None and index >= share_of_steps(BLEND_START, steps):
            target = source + blend_mask(control.word_maps, size) * (target - source)
        if progress is not None:
            progress(index + 1, steps)
        return torch.cat([source, target])

    prompts = [source_prompt, target_prompt]
    latents = _sample(
        model, inversion, prompts, guidance, rli_alpha, low_resource, control, before_step, after_step
    )
    return EditResult(*latents.chunk(2))


def reconstruct(
    model: EditModel,
    inversion: Inversion,
    source_prompt: str,
    *,
    guidance: float = 15.0,
    rli_alpha: float = 0.1,
    low_resource: bool = False,
) -> Tensor:
    """The source branch of ``edit`` alone: latents ``(N, 4, h, w)``."""
    return _sample(model, inversion, [source_prompt], guidance, rli_alpha, low_resource)


def _prompt_edit(
    model: EditModel,
    images: int,
    size: tuple[int, int],
    source_prompt: str,
    target_prompt: str,
    word: str,
    eq: float,
    self_max_positions: int,
    local_blend: bool,
) -> PromptEdit:
    """The control of one edit, in the buffers that captured graphs already know."""
    tokenizer = model.tokenizers[0]
    positions = word_positions(tokenizer, target_prompt, word)
    mix = ColumnMix(align_tokens(tokenizer, source_prompt, target_prompt), positions, eq, model.device)
    key = ('prompt edit', images, size, self_max_positions, local_blend)
    control = model.replay(key, lambda: PromptEdit(images, mix, self_max_positions))
    control.mix.copy_(mix)
    if local_blend:
        columns = torch.zeros(2 * images, len(mix.own), device=model.device)
        columns[images:, positions] = 1
        if control.word_maps is None:
            control.word_maps = WordMaps(coarsest_map(model.unet, size), columns)
        control.word_maps.columns.copy_(columns)
        control.word_maps.total.zero_()
    return control


def _sample(
    model: EditModel,
    inversion: Inversion,
    prompts: list[str],
    guidance: float,
    rli_alpha: float,
    low_resource: bool,
    control: PromptEdit | None = None,
    before_step: Callable[[int], None] = lambda index: None,
    after_step: Callable[[int, Tensor], Tensor] = lambda index, latents: latents,
) -> Tensor:
    """Guided sampling of ``len(prompts)`` branches from the same starts; rows are ordered branch by branch."""
    images, branches = len(inversion), len(prompts)
    schedule: Schedule = ddim_schedule(model.scheduler, inversion.steps)
    encoded = model.encode_prompt([*prompts, ''])
    null = PromptEmbeddings(encoded.tokens[-1:], encoded.pooled[-1:])
    conditional = PromptEmbeddings(
        encoded.tokens[:-1].repeat_interleave(images, dim=0),
        encoded.pooled[:-1].repeat_interleave(images, dim=0),
    )
    latents = inversion.start.to(model.device).repeat(branches, 1, 1, 1)
    with attention_control(model.unet, rli_alpha, control), torch.no_grad():
        for i, timestep in enumerate(schedule.timesteps):
            before_step(i)
            unconditional = PromptEmbeddings.cat([inversion.uncond(i, null)] * branches)
            prediction = guided_prediction(
                model,
                latents,
                timestep,
                unconditional,
                conditional,
                guidance,
                rli_alpha,
                control,
                low_resource=low_resource,
            )
            latents = schedule.denoise(i, latents, prediction)
            if inversion.residuals is not None:
                latents[:images] += inversion.residuals[i].to(latents)
            latents = after_step(i, latents)
    # A pair is one image: the batch positions in the error are those of the inversion.
    check_finite(latents.unflatten(0, (branches, images)).transpose(0, 1), 'guided sampling')
    return latents


def blend_mask(maps: WordMaps, size: tuple[int, int]) -> Tensor:
    """LocalBlend's binary mask ``(N, 1, h, w)``: where either branch attends to its word.

    A branch without the word adds nothing. The maps are the target's own, before they are edited.
    """
    total = F.max_pool2d(maps.total[:, None], BLEND_DILATION, stride=1, padding=BLEND_DILATION // 2)
    total = F.interpolate(total, size=size)
    total = total / total.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(total.dtype).tiny)
    source, target = (total > BLEND_THRESHOLD).chunk(2)
    return (source | target).float()
