"""From a picture's latent to a start and to what guided sampling needs to find the way back.

Four methods behind one function: null-text inversion (Mokady et al. 2023), negative-prompt inversion (Miyake et
al. 2023), direct inversion, also called PnP inversion (Ju et al. 2024), and plain DDIM inversion (Dhariwal &
Nichol 2021).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .attention import attention_control
from .model import EditModel, PromptEmbeddings, check_finite
from .null_text import optimise_null_text
from .sampling import Schedule, ddim_schedule, guided_prediction, predict

METHODS = ('null-text', 'negative-prompt', 'direct', 'ddim')
BATCH_AXES = {'latent': 0, 'start': 0, 'uncond_tokens': 1, 'uncond_pooled': 1, 'residuals': 1}


@dataclass
class Inversion:
    """N inverted images.

    Attributes:
        latent: ``(N, 4, h, w)``, the encoded images z_0.
        start: ``(N, 4, h, w)``, where sampling starts, z*_T.
        uncond_tokens: ``(steps, N, 77, 2048)`` float32 unconditional embeddings, or ``(1, N, 77, 2048)`` where all
            steps share them; None for those of the empty prompt.
        uncond_pooled: ``(steps or 1, N, 1280)``, with ``uncond_tokens``.
        residuals: ``(steps, N, 4, h, w)``, added to the source's latent after every step of direct inversion.
        stats: Lists with one entry per image: ``inner_steps`` (count), ``inner_losses`` (per DDIM step, before each
            inner step) and ``final_losses`` (per DDIM step, left over). Empty lists but for null-text inversion.
        steps: DDIM steps that the inversion was made with.
    """

    latent: Tensor
    start: Tensor
    uncond_tokens: Tensor | None = None
    uncond_pooled: Tensor | None = None
    residuals: Tensor | None = None
    stats: dict[str, list] = field(default_factory=dict)
    steps: int = 50

    def __len__(self) -> int:
        return len(self.latent)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are there, contiguous, and the number of steps: what a safetensors file can hold."""
        present = {name: getattr(self, name) for name in BATCH_AXES if getattr(self, name) is not None}
        return {name: value.contiguous() for name, value in present.items()} | {
            'steps': torch.tensor([self.steps])
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], stats: dict[str, list]) -> 'Inversion':
        """Undo ``tensors()``."""
        fields = {name: tensors[name] for name in BATCH_AXES if name in tensors}
        return cls(**fields, stats=stats, steps=int(tensors['steps']))

    def split(self) -> list['Inversion']:
        """One inversion per image."""
        tensors = self.tensors()
        steps = {'steps': tensors.pop('steps')}
        return [
            Inversion.from_tensors(
                {name: value.narrow(BATCH_AXES[name], n, 1) for name, value in tensors.items()} | steps,
                {name: values[n : n + 1] for name, values in self.stats.items()},
            )
            for n in range(len(self))
        ]

    @classmethod
    def cat(cls, items: list['Inversion']) -> 'Inversion':
        """Undo ``split()``; all items must come from the same method, size and steps.

        Raises:
            ValueError: They don't.
        """
        first = items[0].tensors()
        for item in items:
            if item.steps != items[0].steps or set(item.tensors()) != set(first):
                raise ValueError(
                    'inversions of different methods or steps cannot form one batch; sort them first'
                )
        joined = {
            name: torch.cat([getattr(item, name) for item in items], dim=axis)
            for name, axis in BATCH_AXES.items()
            if name in first
        }
        stats = {name: [entry for item in items for entry in item.stats[name]] for name in items[0].stats}
        return cls(**joined, stats=stats, steps=items[0].steps)

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
    method: str = 'null-text',
    steps: int = 50,
    guidance: float = 15.0,
    rli_alpha: float = 0.1,
    inner_steps: int = 10,
    low_resource: bool = False,
    early_stop: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Invert N encoded images ``(N, 4, h, w)`` described by one prompt.

    Args:
        method: One of METHODS.
        steps: DDIM steps.
        guidance: Guidance scale at which the images will be edited.
        rli_alpha: Share of the input in up-block self-attention (residual linear interpolation).
        inner_steps: Most Adam steps per DDIM step of null-text inversion.
        low_resource: In direct inversion, run conditional and unconditional passes one after the other. The other
            methods never run both together.
        early_stop: False takes every inner step, for timing.
        progress: Called with the DDIM steps done and their total, inversion and optimisation counted together.

    Raises:
        ValueError: Unknown method, or parameters out of range.
        NonFiniteError: Latents overflowed; it names the stage and the images.
    """
    if method not in METHODS:
        raise ValueError(f'inversion method {method!r} is unknown; expected one of {", ".join(METHODS)}')
    if inner_steps < 0:
        raise ValueError(f'inner_steps is {inner_steps}; expected 0 or more')
    if method == 'null-text' and (guidance == 1 or inner_steps == 0):
        warnings.warn(
            f'null-text optimisation has no effect with guidance {guidance} and {inner_steps} inner steps; '
            "method='ddim' does the same in less time",
            stacklevel=2,
        )
    latents = check_finite(latents.to(model.device, torch.float32), 'reading the latents')
    schedule = ddim_schedule(model.scheduler, steps)
    prompts = model.encode_prompt([source_prompt, ''])
    source, null = (PromptEmbeddings(prompts.tokens[i : i + 1], prompts.pooled[i : i + 1]) for i in (0, 1))
    done, total = 0, steps * (1 if method in ('ddim', 'negative-prompt') else 2)

    def on_step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with attention_control(model.unet, rli_alpha), torch.no_grad():
        trajectory = ddim_trajectory(model, schedule, latents, source, rli_alpha, on_step)
        result = Inversion(latents, trajectory[0].clone(), steps=steps, stats=_no_stats(len(latents)))
        if method == 'null-text':
            found = optimise_null_text(
                model,
                schedule,
                trajectory,
                source,
                null,
                guidance=guidance,
                rli_alpha=rli_alpha,
                inner_steps=inner_steps,
                early_stop=early_stop,
                on_step=on_step,
            )
            result.uncond_tokens, result.uncond_pooled = found.tokens, found.pooled
            result.stats = {
                'inner_steps': [sum(map(len, losses)) for losses in found.inner_losses],
                'inner_losses': found.inner_losses,
                'final_losses': found.final_losses,
            }
        elif method == 'negative-prompt':
            rows = source.expand(len(latents))
            result.uncond_tokens, result.uncond_pooled = rows.tokens[None], rows.pooled[None]
        elif method == 'direct':
            result.residuals = direct_residuals(
                model, schedule, trajectory, source, null, guidance, rli_alpha, low_resource, on_step
            )
    return result


def _no_stats(images: int) -> dict[str, list]:
    return {
        'inner_steps': [0] * images,
        'inner_losses': [[] for _ in range(images)],
        'final_losses': [[] for _ in range(images)],
    }


def ddim_trajectory(
    model: EditModel,
    schedule: Schedule,
    latents: Tensor,
    source: PromptEmbeddings,
    rli_alpha: float,
    on_step: Callable[[], None],
) -> Tensor:
    """DDIM inversion with the source prompt alone (guidance 1): ``(steps + 1, N, 4, h, w)`` from z*_T to z*_0."""
    trajectory = torch.empty(len(schedule) + 1, *latents.shape, device=latents.device)
    trajectory[-1] = latents
    rows = source.expand(len(latents))
    for i in reversed(range(len(schedule))):
        prediction = predict(model, trajectory[i + 1], schedule.timesteps[i], rows, rli_alpha)
        trajectory[i] = schedule.invert(i, trajectory[i + 1], prediction)
        on_step()
    check_finite(trajectory[0], 'DDIM inversion')
    return trajectory


def direct_residuals(
    model: EditModel,
    schedule: Schedule,
    trajectory: Tensor,
    source: PromptEmbeddings,
    null: PromptEmbeddings,
    guidance: float,
    rli_alpha: float,
    low_resource: bool,
    on_step: Callable[[], None],
) -> Tensor:
    """What every guided step from the pivot misses of the next pivot, ``(steps, N, 4, h, w)`` (Ju et al., alg. 1)."""
    images = trajectory.shape[1]
    residuals = torch.empty_like(trajectory[1:])
    for i, timestep in enumerate(schedule.timesteps):
        prediction = guided_prediction(
            model,
            trajectory[i],
            timestep,
            null.expand(images),
            source.expand(images),
            guidance,
            rli_alpha,
            low_resource=low_resource,
        )
        residuals[i] = trajectory[i + 1] - schedule.denoise(i, trajectory[i], prediction)
        on_step()
    return residuals
