"""Inversion of encoded images: the start latents and embeddings from which guided sampling reconstructs them.

Four methods behind one function: null-text inversion (Mokady et al. 2023), negative-prompt inversion (Miyake et
al. 2023), direct inversion, also called PnP inversion (Ju et al. 2024), and plain DDIM inversion (Dhariwal &
Nichol 2021).
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from augment.config import INVERSION_METHODS, AugmentConfig
from augment.diffusion.inverted import BranchSettings, Inversion
from augment.diffusion.model import EditModel, PromptEmbeddings, check_finite
from augment.diffusion.null_text import optimise_null_text
from augment.diffusion.sampling import Sampler, ddim_schedule


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
    rows: int | None = None,
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
        rows: Images in the UNet at a time; None for all. In null-text inversion, an image that is finished makes place
            for the next.
        progress: Called with the DDIM steps done and their total, over all images, inversion and optimisation.

    Raises:
        ValueError: Unknown method, or parameters out of range.
        NonFiniteError: Latents overflowed; it names the stage and the images.
    """
    _check(method, guidance, inner_steps)
    latents = check_finite(latents.to(model.device, torch.float32), 'reading the latents')
    source, null = model.encode_prompt([source_prompt, '']).split()
    rows = rows or len(latents)
    on_step = _counter(progress, len(latents) * steps * (1 if method == 'direct' else 2))
    schedule = ddim_schedule(model.scheduler, steps)
    sampler = Sampler(model, schedule, guidance=guidance, rli_alpha=rli_alpha, low_resource=low_resource)
    settings = BranchSettings(source_prompt, None if method == 'direct' else guidance, rli_alpha)
    with sampler, torch.no_grad():
        parts = [ddim_trajectory(sampler, part, source, on_step) for part in latents.split(rows)]
        pivots = torch.cat(parts, dim=1)
        check_finite(pivots[0], 'DDIM inversion')
        result = Inversion(latents, pivots, settings, stats=_no_stats(len(latents)))
        if method == 'null-text':
            limits = {'inner_steps': inner_steps, 'early_stop': early_stop, 'rows': rows}
            optimum = optimise_null_text(sampler, pivots, source, null, on_step=on_step, **limits)
            embeddings = optimum.tokens, optimum.pooled
            result = Inversion(latents, optimum.trajectory, settings, *embeddings, optimum.stats())
        elif method == 'negative-prompt':
            prompts = source.expand(len(latents))
            result.uncond_tokens, result.uncond_pooled = prompts.tokens[None], prompts.pooled[None]
        if method in ('negative-prompt', 'ddim'):
            parts = [source_branch(sampler, part, source, null, on_step) for part in result.split(rows)]
            result.trajectory = torch.cat(parts, dim=1)
            check_finite(result.reconstruction, 'guided sampling')
    return result


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """A function that reports so many more of ``total`` steps to ``progress`` at each call."""
    done = 0

    def on_step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return on_step


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
    sampler: Sampler, latents: Tensor, source: PromptEmbeddings, on_step: Callable[[int], None]
) -> Tensor:
    """DDIM inversion with the source prompt alone (guidance 1): ``(steps + 1, N, 4, h, w)`` from z*_T to z*_0."""
    schedule = sampler.schedule
    trajectory = torch.empty(len(schedule) + 1, *latents.shape, device=latents.device)
    trajectory[-1] = latents
    rows = source.expand(len(latents))
    for i in reversed(range(len(schedule))):
        prediction = sampler.predict(trajectory[i + 1], schedule.timesteps[i], rows)
        trajectory[i] = schedule.invert(i, trajectory[i + 1], prediction)
        on_step(len(latents))
    return trajectory


def source_branch(
    sampler: Sampler,
    inversion: Inversion,
    source: PromptEmbeddings,
    null: PromptEmbeddings,
    on_step: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Guided sampling with the source prompt from the start of ``inversion``: ``(steps + 1, N, 4, h, w)``."""
    schedule, images = sampler.schedule, len(inversion)
    latents = inversion.start.to(sampler.model.device)
    trajectory = latents.repeat(len(schedule) + 1, 1, 1, 1, 1)
    rows = source.expand(images)
    for i, timestep in enumerate(schedule.timesteps):
        prediction = sampler.guided(trajectory[i], timestep, inversion.uncond(i, null), rows)
        trajectory[i + 1] = schedule.denoise(i, trajectory[i], prediction)
        on_step(images)
    return trajectory
