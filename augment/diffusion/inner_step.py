"""One Adam step of null-text optimisation on many rows at once, each with an image and a DDIM step of its own.

Whatever differs between rows is a tensor of static buffers, so that no shape depends on values and one inner step, backward
pass included, is one CUDA graph.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from augment.diffusion.attention import AttentionProcessors
from augment.diffusion.graphs import GraphRunner
from augment.diffusion.model import EditModel, PromptEmbeddings
from augment.diffusion.sampling import guide

ADAM_BETAS = (0.9, 0.999)  # torch.optim.Adam's defaults, as published
ADAM_EPS = 1e-8


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """``values (R,)`` in a shape that multiplies the rows of ``like (R, ...)``."""
    return values.view(-1, *[1] * (like.ndim - 1))


def adam_corrections(count: Tensor) -> Tensor:
    """``1 - beta ** t`` of both moments, float32 ``(2, R)``, after ``count (R,)`` steps; exact for small t."""
    steps = count.double()
    return -torch.stack([torch.expm1(steps * math.log(beta)) for beta in ADAM_BETAS]).float()


@dataclass
class AdamState:
    """Adam for one static tensor ``(R, ...)`` whose rows move only where a mask allows (Kingma & Ba 2015)."""

    value: Tensor
    first: Tensor = field(init=False)
    second: Tensor = field(init=False)

    def __post_init__(self):
        self.first, self.second = torch.zeros_like(self.value), torch.zeros_like(self.value)

    def tensors(self) -> list[Tensor]:
        """Value and moments."""
        return [self.value, self.first, self.second]

    def begin(self, rows: Tensor, values: Tensor) -> None:
        """Set ``rows`` to ``values`` and their moments to zero."""
        self.value[rows] = values
        self.first[rows] = 0
        self.second[rows] = 0

    def step(self, gradient: Tensor, active: Tensor, rate: Tensor, corrections: Tensor) -> None:
        """One update of the rows where ``active (R,)`` is true; the others keep value and moments bit for bit.

        ``rate (R,)`` and ``corrections (2, R)``, see ``adam_corrections``, belong to the rows.
        """
        mask, rates = per_row(active, self.value), per_row(rate, self.value)
        of_first, of_second = (per_row(correction, self.value) for correction in corrections)
        first = self.first.lerp(gradient, 1 - ADAM_BETAS[0])
        second = self.second * ADAM_BETAS[1] + gradient.square() * (1 - ADAM_BETAS[1])
        change = rates * (first / of_first) / ((second / of_second).sqrt() + ADAM_EPS)
        self.first.copy_(torch.where(mask, first, self.first))
        self.second.copy_(torch.where(mask, second, self.second))
        self.value.copy_(torch.where(mask, self.value - change, self.value))


@dataclass
class RowInputs:
    """What R rows begin a DDIM step with.

    Attributes:
        latents: ``(R, 4, h, w)``, where the step starts.
        target: ``(R, 4, h, w)``, where it should end.
        conditional: ``(R, 4, h, w)``, the prediction with the source prompt.
        null: Unconditional embeddings to start from, R rows.
        timestep: ``(R,)`` int64.
        keep, add: ``(R,)``, factors of the DDIM step, see ``Schedule``.
        rate: ``(R,)``, Adam's learning rate.
        stop: ``(R,)``, the loss under which a row stops.
    """

    latents: Tensor
    target: Tensor
    conditional: Tensor
    null: PromptEmbeddings
    timestep: Tensor
    keep: Tensor
    add: Tensor
    rate: Tensor
    stop: Tensor


class InnerStep:
    """One Adam step on the unconditional embeddings of R rows, over static buffers.

    Attributes:
        tokens: ``AdamState`` of ``(R, 77, 2048)``.
        pooled: ``AdamState`` of ``(R, 1280)``.
        taken: ``(R,)`` int64, inner steps since the row began its DDIM step.
        active: ``(R,)`` bool, rows that have not stopped.
        stepped: ``(R,)`` bool, rows that the last step updated: active ones whose loss and gradient are finite. Half
            precision overflows now and then; the row then goes on from where it was.
        loss: ``(R,)`` float32, the loss before the last update.
    """

    SCALARS = ('timestep', 'keep', 'add', 'rate', 'stop')
    MAPS = ('latents', 'target', 'conditional')

    def __init__(
        self, model: EditModel, latents: Tensor, null: PromptEmbeddings, attention: AttentionProcessors
    ):
        device, rows = model.device, len(latents)
        self.model = model
        self.latents, self.target, self.conditional = (torch.zeros_like(latents) for _ in self.MAPS)
        self.timestep = torch.zeros(rows, dtype=torch.int64, device=device)
        self.keep, self.add, self.rate, self.stop, self.loss = (
            torch.zeros(rows, device=device) for _ in range(5)
        )
        self.guidance = torch.zeros((), device=device)
        self.tokens = AdamState(torch.zeros(rows, *null.tokens.shape[1:], device=device))
        self.pooled = AdamState(torch.zeros(rows, *null.pooled.shape[1:], device=device))
        self.taken = torch.zeros(rows, dtype=torch.int64, device=device)
        self.active = torch.zeros(rows, dtype=torch.bool, device=device)
        self.stepped = torch.zeros_like(self.active)
        # Half-precision gradients of such small losses would underflow. A power of two costs no accuracy.
        self.loss_scale = 2.0 ** (latents[0].numel() - 1).bit_length()
        self._changed = [*self.tokens.tensors(), *self.pooled.tensors()]
        self._changed += [self.taken, self.active, self.stepped, self.loss]
        self._runner = GraphRunner(model, self._run, self._changed, attention)

    def __len__(self) -> int:
        return len(self.latents)

    def begin(self, rows: Tensor, inputs: RowInputs) -> None:
        """Let ``rows``, indices int64, begin a DDIM step with fresh Adam states."""
        for name in (*self.SCALARS, *self.MAPS):
            getattr(self, name)[rows] = getattr(inputs, name)
        self.tokens.begin(rows, inputs.null.tokens)
        self.pooled.begin(rows, inputs.null.pooled)
        self.taken[rows] = 0
        self.active[rows] = True

    def end(self, rows: Tensor) -> None:
        """Leave ``rows`` without an image."""
        self.active[rows] = False

    def take_over(self, other: 'InnerStep', rows: Tensor) -> None:
        """Continue ``rows`` of ``other`` as the first ones here; the remaining rows have no image."""
        for name in (*self.SCALARS, *self.MAPS):
            getattr(self, name)[: len(rows)] = getattr(other, name)[rows]
        for own, others in zip(self._changed, other._changed):
            own[: len(rows)] = others[rows]
        self.active[len(rows) :] = False
        self.guidance.copy_(other.guidance)

    def embeddings(self, rows: Tensor) -> PromptEmbeddings:
        """A copy of the embeddings of ``rows``."""
        return PromptEmbeddings(self.tokens.value[rows], self.pooled.value[rows])

    def __call__(self) -> None:
        """Take one inner step in every row that has not stopped."""
        self._runner()

    def report(self) -> tuple[list[bool], list[bool], list[float]]:
        """``active``, ``stepped`` and ``loss`` on the host, by one transfer."""
        active, stepped, losses = torch.stack([self.active.float(), self.stepped.float(), self.loss]).tolist()
        return [bool(flag) for flag in active], [bool(flag) for flag in stepped], losses

    def _run(self) -> None:
        tokens = self.tokens.value.detach().requires_grad_()
        pooled = self.pooled.value.detach().requires_grad_()
        keep, add = per_row(self.keep, self.latents), per_row(self.add, self.latents)
        with torch.enable_grad():
            unconditional = self.model.predict(self.latents, self.timestep, tokens, pooled)
            guided = guide(unconditional, self.conditional, self.guidance)
            reached = keep * self.latents + add * guided
            loss = (reached - self.target).square().flatten(1).mean(dim=1)
            gradients = torch.autograd.grad(loss.sum() * self.loss_scale, (tokens, pooled))
        with torch.no_grad():
            finite = loss.isfinite()
            for gradient in gradients:
                finite = finite & gradient.isfinite().flatten(1).all(dim=1)
            self.taken.add_(1)
            corrections = adam_corrections(self.taken)
            self.stepped.copy_(self.active & finite)
            for state, gradient in zip((self.tokens, self.pooled), gradients):
                state.step(gradient / self.loss_scale, self.stepped, self.rate, corrections)
            # The update comes before the stop, as published: a row stops after the step whose loss was low.
            self.loss.copy_(torch.where(self.stepped, loss, self.loss))
            self.active.logical_and_(~finite | (loss >= self.stop))
