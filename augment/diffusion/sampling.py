"""DDIM steps and UNet predictions: the schedule, one captured pass, and classifier-free guidance."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from augment.diffusion.attention import AttentionProcessors
from augment.diffusion.control import AttentionControl
from augment.diffusion.graphs import GraphRunner
from augment.diffusion.model import EditModel, PromptEmbeddings


@dataclass
class Schedule:
    """The DDIM steps from noise to image, as plain numbers.

    Step i takes ``z`` at ``timesteps[i]`` to ``keep[i] * z + add[i] * prediction``.
    """

    timesteps: list[int]
    keep: list[float]
    add: list[float]

    def __len__(self) -> int:
        return len(self.timesteps)

    def denoise(self, index: int, latents: Tensor, prediction: Tensor) -> Tensor:
        """One deterministic DDIM step towards the image (Song et al. 2021, eq. 12 with sigma 0)."""
        return self.keep[index] * latents + self.add[index] * prediction

    def invert(self, index: int, latents: Tensor, prediction: Tensor) -> Tensor:
        """The same step solved for its input, towards noise.

        For noise-predicting models this is the DDIM inversion of Dhariwal & Nichol 2021, section F; solving the
        scheduler's own step keeps it right for every prediction type and timestep spacing.
        """
        return (latents - self.add[index] * prediction) / self.keep[index]


def ddim_schedule(scheduler: Any, steps: int) -> Schedule:
    """Read the steps of a diffusers DDIM scheduler.

    A DDIM step without noise or clipping is linear in sample and prediction, whatever the model predicts, so
    stepping the pairs (1, 0) and (0, 1) gives its two factors.

    Raises:
        ValueError: ``steps`` is not between 1 and the training steps, or a factor is zero or not finite
            (zero terminal SNR), so that the step cannot be inverted.
    """
    train_steps = scheduler.config.num_train_timesteps
    if not 1 <= steps <= train_steps:
        raise ValueError(
            f'steps is {steps}; expected 1 to {train_steps}, the steps the model was trained with'
        )
    scheduler.set_timesteps(steps)
    sample, prediction = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    timesteps = [int(t) for t in scheduler.timesteps]
    factors = [scheduler.step(prediction, t, sample).prev_sample for t in timesteps]
    keep, add = ([float(pair[column]) for pair in factors] for column in (0, 1))
    if not torch.tensor([keep, add]).isfinite().all() or not all(keep):
        raise ValueError(
            'the DDIM steps of this model cannot be inverted: one of them drops its input or starts with zero '
            'signal (rescale_betas_zero_snr?); use a model or scheduler configuration without that'
        )
    return Schedule(timesteps, keep, add)


class Prediction:
    """One UNet pass without gradient over static buffers, for R latents of one size."""

    def __init__(
        self, model: EditModel, latents: Tensor, prompt: PromptEmbeddings, attention: AttentionProcessors
    ):
        tokens, pooled, rows = prompt.tokens, prompt.pooled, len(latents)
        self.model = model
        self.latents = torch.empty(latents.shape, device=model.device)
        self.timestep = torch.zeros(rows, dtype=torch.int64, device=model.device)
        self.tokens = torch.empty(rows, *tokens.shape[1:], device=model.device)
        self.pooled = torch.empty(rows, *pooled.shape[1:], device=model.device)
        self.output = torch.empty_like(self.latents)
        # LocalBlend's maps are summed by the attention layers themselves.
        blend = None if attention.control is None else attention.control.local_blend
        self._runner = GraphRunner(model, self._run, [] if blend is None else [blend.total], attention)

    def _run(self) -> None:
        self.output.copy_(self.model.predict(self.latents, self.timestep, self.tokens, self.pooled))

    @torch.no_grad()
    def __call__(self, latents: Tensor, timestep: int | Tensor, prompt: PromptEmbeddings) -> Tensor:
        """The prediction for latents and prompt of the shapes this pass was built for."""
        self.latents.copy_(latents)
        if isinstance(timestep, Tensor):
            self.timestep.copy_(timestep)
        else:
            self.timestep.fill_(timestep)
        self.tokens.copy_(prompt.tokens)
        self.pooled.copy_(prompt.pooled)
        # Compiled blocks stay eager here: only the inner step of null-text inversion runs often enough to pay for
        # its compilation.
        with torch.compiler.set_stance('force_eager') if self.model.compiled else nullcontext():
            self._runner()
        return self.output.clone()


def guide(unconditional: Tensor, conditional: Tensor, guidance: float | Tensor) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6, in the scale of Stable Diffusion)."""
    return unconditional + guidance * (conditional - unconditional)


class Sampler:
    """Predictions of one model with one set of attention processors; a context manager that installs them.

    Args:
        model: The model.
        schedule: The DDIM steps.
        guidance: Scale of classifier-free guidance.
        rli_alpha: RLI's share of the input in the self-attention of the up blocks.
        control: Prompt-to-prompt, where it is wanted.
        low_resource: Conditional and unconditional passes one after the other instead of as one batch.
    """

    def __init__(
        self,
        model: EditModel,
        schedule: Schedule,
        *,
        guidance: float,
        rli_alpha: float,
        control: AttentionControl | None = None,
        low_resource: bool = False,
    ):
        self.model, self.schedule = model, schedule
        self.guidance, self.low_resource = guidance, low_resource
        # Kept with the model, so that graphs captured with these processors serve the next call too.
        self.attention: AttentionProcessors = model.kept(
            ('attention', rli_alpha, control), lambda: AttentionProcessors(model.unet, rli_alpha, control)
        )

    def __enter__(self) -> 'Sampler':
        self._installed = self.attention.installed()
        self._installed.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._installed.__exit__(*error)

    def predict_rows(self, latents: Tensor, timesteps: Tensor, prompt: PromptEmbeddings, most: int) -> Tensor:
        """``predict`` for up to ``most`` rows, filled up with copies of the last to a size that has a graph."""
        rows = len(latents)
        size = self.model.fitting_rows(rows, most)
        chosen = torch.arange(size, device=latents.device).clamp(max=rows - 1)
        filled = PromptEmbeddings(prompt.tokens[chosen], prompt.pooled[chosen])
        return self.predict(latents[chosen], timesteps[chosen], filled)[:rows]

    def predict(self, latents: Tensor, timestep: int | Tensor, prompt: PromptEmbeddings) -> Tensor:
        """The model's prediction ``(R, 4, h, w)`` for R latents, each with its own row of ``prompt``.

        ``timestep`` is one for all rows or ``(R,)``.
        """
        key = ('prediction', tuple(latents.shape), self.attention, self.attention.phase())
        run = self.model.kept(key, lambda: Prediction(self.model, latents, prompt, self.attention))
        return run(latents, timestep, prompt)

    def guided(
        self,
        latents: Tensor,
        timestep: int,
        unconditional: PromptEmbeddings,
        conditional: PromptEmbeddings,
        sources: tuple[Tensor, PromptEmbeddings] | None = None,
    ) -> Tensor:
        """Guided prediction for R latents: both passes as one batch, or one after the other.

        ``sources``, latents and prompt, are the rows whose attention maps the conditional rows take over.
        """
        rows, with_prompt, prompt = len(latents), latents, conditional
        if sources is not None:
            with_prompt = torch.cat([sources[0], latents])
            prompt = PromptEmbeddings.cat([sources[1], conditional])
        if self.low_resource:
            control = self.attention.control
            with nullcontext() if control is None else control.paused():
                without = self.predict(latents, timestep, unconditional)
            return guide(without, self.predict(with_prompt, timestep, prompt)[-rows:], self.guidance)
        both = PromptEmbeddings.cat([unconditional, prompt])
        predictions = self.predict(torch.cat([latents, with_prompt]), timestep, both)
        return guide(predictions[:rows], predictions[-rows:], self.guidance)
