"""Null-text optimisation (Mokady et al. 2023, algorithm 1) of many images at once.

Every image has its own loss, Adam state and stop. Stopped images stay in the batch with masked updates, so that no
shape depends on values and one inner step, backward pass included, is one CUDA graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from augment.diffusion.attention import AttentionProcessors
from augment.diffusion.graphs import GraphRunner
from augment.diffusion.model import EditModel, PromptEmbeddings, check_finite
from augment.diffusion.sampling import Sampler, Schedule, guide

LEARNING_RATE = 1e-2  # published code; falls by 1/LEARNING_RATE_STEPS of it with every DDIM step
LEARNING_RATE_STEPS = 100
STOP_LOSS = 1e-5  # published code, at the first DDIM step
STOP_LOSS_GROWTH = (
    1e-5  # added with every further DDIM step; the project's published method (original code: 2e-5)
)
ADAM_BETAS = (0.9, 0.999)  # torch.optim.Adam's defaults, as published
ADAM_EPS = 1e-8


def learning_rate(index: int) -> float:
    """Adam's rate at DDIM step ``index``."""
    return max(LEARNING_RATE * (1 - index / LEARNING_RATE_STEPS), 0.0)


def stop_loss(index: int) -> float:
    """The loss under which an image stops at DDIM step ``index``."""
    return STOP_LOSS + STOP_LOSS_GROWTH * index


@dataclass
class AdamState:
    """Adam for one static tensor ``(N, ...)`` whose rows move only where a mask allows (Kingma & Ba 2015)."""

    value: Tensor
    first: Tensor = field(init=False)
    second: Tensor = field(init=False)

    def __post_init__(self):
        self.first, self.second = torch.zeros_like(self.value), torch.zeros_like(self.value)

    def reset(self) -> None:
        """Set both moments to zero."""
        self.first.zero_()
        self.second.zero_()

    def step(self, gradient: Tensor, active: Tensor, rate: Tensor, corrections: Tensor) -> None:
        """One update of the rows where ``active (N,)`` is true; the others keep value and moments bit for bit.

        ``corrections (2,)`` are ``1 - beta ** t`` of both moments, t being common to all active rows.
        """
        mask = active.view(-1, *[1] * (self.value.ndim - 1))
        first = self.first.lerp(gradient, 1 - ADAM_BETAS[0])
        second = self.second * ADAM_BETAS[1] + gradient.square() * (1 - ADAM_BETAS[1])
        change = rate * (first / corrections[0]) / ((second / corrections[1]).sqrt() + ADAM_EPS)
        self.first.copy_(torch.where(mask, first, self.first))
        self.second.copy_(torch.where(mask, second, self.second))
        self.value.copy_(torch.where(mask, self.value - change, self.value))


class InnerStep:
    """One Adam step on the unconditional embeddings of N images, over static buffers.

    Attributes:
        tokens: ``AdamState`` of ``(N, 77, 2048)``.
        pooled: ``AdamState`` of ``(N, 1280)``.
        active: ``(N,)`` bool, images that have not stopped.
        stepped: ``(N,)`` bool, images that the last step updated: active ones whose loss and gradient are finite. Half
            precision overflows now and then; the image then goes on from where it was.
        loss: ``(N,)`` float32, the loss before the last update.
    """

    def __init__(
        self, model: EditModel, latents: Tensor, null: PromptEmbeddings, attention: AttentionProcessors
    ):
        device, images = model.device, len(latents)
        self.model = model
        self.latents, self.target, self.conditional = (torch.zeros_like(latents) for _ in range(3))
        self.timestep = torch.zeros(1, dtype=torch.int64, device=device)
        self.tokens = AdamState(torch.zeros(images, *null.tokens.shape[1:], device=device))
        self.pooled = AdamState(torch.zeros(images, *null.pooled.shape[1:], device=device))
        self.active = torch.zeros(images, dtype=torch.bool, device=device)
        self.stepped = torch.zeros_like(self.active)
        self.loss = torch.zeros(images, device=device)
        # On the device, since a captured graph has no changing numbers: step factors, guidance, rate and stop.
        self.keep, self.add, self.guidance, self.rate, self.stop = (
            torch.zeros((), device=device) for _ in range(5)
        )
        self.corrections = torch.zeros(2, device=device)
        # Half-precision gradients of such small losses would underflow. A power of two costs no accuracy.
        self.loss_scale = 2.0 ** (latents[0].numel() - 1).bit_length()
        changed = [self.tokens.value, self.tokens.first, self.tokens.second]
        changed += [self.active, self.stepped, self.loss]
        changed += [self.pooled.value, self.pooled.first, self.pooled.second]
        self._runner = GraphRunner(model, self._run, changed, attention)

    def start_at(self, null: PromptEmbeddings) -> None:
        """Set the embeddings of all images to ``null``, one row."""
        images = len(self.latents)
        self.tokens.value.copy_(null.tokens.expand(images, -1, -1))
        self.pooled.value.copy_(null.pooled.expand(images, -1))

    def begin(
        self,
        schedule: Schedule,
        index: int,
        latents: Tensor,
        target: Tensor,
        conditional: Tensor,
        guidance: float,
    ) -> None:
        """Set up DDIM step ``index`` with fresh Adam states; the embeddings stay as they are."""
        self.latents.copy_(latents)
        self.target.copy_(target)
        self.conditional.copy_(conditional)
        self.timestep.fill_(schedule.timesteps[index])
        self.keep.fill_(schedule.keep[index])
        self.add.fill_(schedule.add[index])
        self.guidance.fill_(guidance)
        self.rate.fill_(learning_rate(index))
        self.stop.fill_(stop_loss(index))
        self.active.fill_(True)
        self.tokens.reset()
        self.pooled.reset()

    def __call__(self, iteration: int) -> None:
        """Take inner step ``iteration``, from 0."""
        for index, beta in enumerate(ADAM_BETAS):
            self.corrections[index].fill_(1 - beta ** (iteration + 1))
        self._runner()

    def optimise(self, inner_steps: int, early_stop: bool) -> list[list[float]]:
        """Up to ``inner_steps`` steps; returns for each image the losses before the steps it took."""
        losses, stepped = [], []
        for iteration in range(inner_steps):
            self(iteration)
            stepped.append(self.stepped.clone())
            losses.append(self.loss.clone())
            if not early_stop:
                self.active.fill_(True)
            elif not self.active.any():
                break
        if not losses:
            return [[] for _ in range(len(self.latents))]
        values, flags = torch.stack(losses, dim=1).tolist(), torch.stack(stepped, dim=1).tolist()
        return [[value for value, flag in zip(*row) if flag] for row in zip(values, flags)]

    def _run(self) -> None:
        tokens = self.tokens.value.detach().requires_grad_()
        pooled = self.pooled.value.detach().requires_grad_()
        with torch.enable_grad():
            unconditional = self.model.predict(self.latents, self.timestep, tokens, pooled)
            guided = guide(unconditional, self.conditional, self.guidance)
            reached = self.keep * self.latents + self.add * guided
            loss = (reached - self.target).square().flatten(1).mean(dim=1)
            gradients = torch.autograd.grad(loss.sum() * self.loss_scale, (tokens, pooled))
        with torch.no_grad():
            finite = loss.isfinite()
            for gradient in gradients:
                finite = finite & gradient.isfinite().flatten(1).all(dim=1)
            self.stepped.copy_(self.active & finite)
            for state, gradient in zip((self.tokens, self.pooled), gradients):
                state.step(gradient / self.loss_scale, self.stepped, self.rate, self.corrections)
            # The update comes before the stop, as published: an image stops after the step whose loss was low.
            self.loss.copy_(torch.where(self.stepped, loss, self.loss))
            self.active.logical_and_(~finite | (loss >= self.stop))


@dataclass
class NullTextResult:
    """Optimised embeddings of every DDIM step, and the losses.

    Attributes:
        tokens: ``(steps, N, 77, 2048)``.
        pooled: ``(steps, N, 1280)``.
        trajectory: ``(steps + 1, N, 4, h, w)``, the guided latents that these embeddings give, from noise to image.
        inner_losses: ``[n][i]`` are the losses of image n before each inner step taken at DDIM step i.
        final_losses: ``[n][i]`` is the loss of image n after DDIM step i.
    """

    tokens: Tensor
    pooled: Tensor
    trajectory: Tensor
    inner_losses: list[list[list[float]]]
    final_losses: list[list[float]]

    def stats(self) -> dict[str, list]:
        """Number of inner steps and all losses, one entry per image."""
        return {
            'inner_steps': [sum(map(len, losses)) for losses in self.inner_losses],
            'inner_losses': self.inner_losses,
            'final_losses': self.final_losses,
        }


def optimise_null_text(
    sampler: Sampler,
    trajectory: Tensor,
    source: PromptEmbeddings,
    null: PromptEmbeddings,
    *,
    inner_steps: int,
    early_stop: bool,
    on_step: Callable[[], None],
) -> NullTextResult:
    """Find embeddings with which guided sampling follows a DDIM inversion.

    Args:
        sampler: Its processors are installed.
        trajectory: ``(steps + 1, N, 4, h, w)``, the pivot from noise z*_T to image z*_0.
        source: The source prompt, one row.
        null: The empty prompt, one row: where the optimisation starts.
        inner_steps: Most Adam steps per DDIM step.
        early_stop: False takes every inner step, for timing.
        on_step: Called after every DDIM step.

    Raises:
        NonFiniteError: Latents overflowed; it names the DDIM step and the images.
    """
    model, schedule, images = sampler.model, sampler.schedule, trajectory.shape[1]
    key = ('inner step', tuple(trajectory.shape[1:]), sampler.attention)
    inner: InnerStep = model.kept(key, lambda: InnerStep(model, trajectory[0], null, sampler.attention))
    inner.start_at(null)
    tokens = torch.empty(len(schedule), *inner.tokens.value.shape, device=model.device)
    pooled = torch.empty(len(schedule), *inner.pooled.value.shape, device=model.device)
    inner_losses: list[list[list[float]]] = [[] for _ in range(images)]
    final_losses: list[list[float]] = [[] for _ in range(images)]
    reached = trajectory.clone()
    latents = trajectory[0]
    for i, timestep in enumerate(schedule.timesteps):
        conditional = sampler.predict(latents, timestep, source.expand(images))
        inner.begin(schedule, i, latents, trajectory[i + 1], conditional, sampler.guidance)
        losses = inner.optimise(inner_steps, early_stop)
        tokens[i], pooled[i] = inner.tokens.value, inner.pooled.value
        optimum = PromptEmbeddings(inner.tokens.value, inner.pooled.value)
        guided = guide(sampler.predict(latents, timestep, optimum), conditional, sampler.guidance)
        latents = schedule.denoise(i, latents, guided)
        reached[i + 1] = check_finite(latents, f'null-text optimisation at step {i + 1}')
        distances = (latents - trajectory[i + 1]).square().flatten(1).mean(dim=1).tolist()
        for n in range(images):
            inner_losses[n].append(losses[n])
            final_losses[n].append(distances[n])
        on_step()
    return NullTextResult(tokens, pooled, reached, inner_losses, final_losses)
