"""Null-text optimisation (Mokady et al. 2023, algorithm 1) of many images at once.

Every image has its own DDIM step, loss, Adam state and stop. One that stops early goes on to its next DDIM step at once, and
the row of one that is through all steps is taken by the next image, so that no image waits for another.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from augment.diffusion.inner_step import InnerStep, RowInputs, per_row
from augment.diffusion.model import NonFiniteError, PromptEmbeddings
from augment.diffusion.sampling import Sampler, guide

LEARNING_RATE = 1e-2  # published code; falls by 1/LEARNING_RATE_STEPS of it with every DDIM step
LEARNING_RATE_STEPS = 100
STOP_LOSS = 1e-5  # published code, at the first DDIM step
STOP_LOSS_GROWTH = (
    1e-5  # added with every further DDIM step; the project's published method (original code: 2e-5)
)


def learning_rate(index: int) -> float:
    """Adam's rate at DDIM step ``index``."""
    return max(LEARNING_RATE * (1 - index / LEARNING_RATE_STEPS), 0.0)


def stop_loss(index: int) -> float:
    """The loss under which an image stops at DDIM step ``index``."""
    return STOP_LOSS + STOP_LOSS_GROWTH * index


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


@dataclass
class Place:
    """Where a row is: its image, DDIM step, inner steps taken in it, and their losses."""

    image: int
    step: int = 0
    taken: int = 0
    losses: list[float] = field(default_factory=list)


def optimise_null_text(
    sampler: Sampler,
    pivots: Tensor,
    source: PromptEmbeddings,
    null: PromptEmbeddings,
    *,
    inner_steps: int,
    early_stop: bool,
    rows: int,
    on_step: Callable[[int], None],
) -> NullTextResult:
    """Find embeddings with which guided sampling follows a DDIM inversion.

    Args:
        sampler: Its processors are installed.
        pivots: ``(steps + 1, N, 4, h, w)`` from noise z*_T to image z*_0.
        source: The source prompt, one row.
        null: The empty prompt, one row: where the optimisation starts.
        inner_steps: Most Adam steps per DDIM step.
        early_stop: False takes every inner step, for timing.
        rows: Images optimised at a time.
        on_step: Called with the number of images that have finished one more DDIM step.

    Raises:
        NonFiniteError: Latents overflowed; it names the DDIM step and the images.
    """
    run = Optimisation(sampler, pivots, source, null, rows, early_stop)
    while run.places:
        if finished := run.take_inner_step(inner_steps):
            run.advance(finished)
            on_step(len(finished))
    return run.result


class Optimisation:
    """The state of ``optimise_null_text``.

    Attributes:
        places: By row, where each row that has an image is.
        waiting: Images that have not begun.
    """

    def __init__(
        self,
        sampler: Sampler,
        pivots: Tensor,
        source: PromptEmbeddings,
        null: PromptEmbeddings,
        rows: int,
        early_stop: bool,
    ):
        self.sampler, self.pivots, self.source, self.null = sampler, pivots, source, null
        schedule, device = sampler.schedule, sampler.model.device
        indices = range(len(schedule))
        self.timesteps = torch.tensor(schedule.timesteps, device=device)
        stops = [stop_loss(i) if early_stop else -math.inf for i in indices]
        self.keep, self.add, self.rates, self.stops = (
            torch.tensor(values, device=device)
            for values in (schedule.keep, schedule.add, [learning_rate(i) for i in indices], stops)
        )
        images = pivots.shape[1]
        shape = len(schedule), images
        self.result = NullTextResult(
            torch.empty(*shape, *null.tokens.shape[1:], device=device),
            torch.empty(*shape, *null.pooled.shape[1:], device=device),
            pivots.clone(),
            [[] for _ in range(images)],
            [[] for _ in range(images)],
        )
        self.rows = min(rows, images)
        first = range(self.rows)
        self.waiting = deque(range(len(first), images))
        self.inner = self._inner(len(first))
        self.inner.end(self._index(range(len(self.inner))))
        self.inner.guidance.fill_(sampler.guidance)
        self.places = {row: Place(image) for row, image in enumerate(first)}
        self._begin(list(first), pivots[0, : len(first)], null.expand(len(first)))

    def take_inner_step(self, inner_steps: int) -> list[int]:
        """One inner step of all rows; returns those whose DDIM step is finished."""
        if inner_steps == 0:
            return list(self.places)
        self._shrink()
        self.inner()
        finished = []
        active, stepped, losses = self.inner.report()
        for row, place in self.places.items():
            place.taken += 1
            if stepped[row]:
                place.losses.append(losses[row])
            if place.taken == inner_steps or not active[row]:
                finished.append(row)
        return finished

    def advance(self, finished: list[int]) -> None:
        """Take the DDIM step of the rows ``finished`` and begin their next one, or the first one of the next images.

        Raises:
            NonFiniteError: Latents overflowed.
        """
        rows, places = self._index(finished), [self.places[row] for row in finished]
        optimum = self.inner.embeddings(rows)
        latents = self._denoised(rows, places, optimum)
        fresh = []
        for number, row in enumerate(finished):
            place = self.places[row]
            self.places[row] = Place(place.image, place.step + 1)
            if place.step + 1 == len(self.sampler.schedule):
                del self.places[row]
                if self.waiting:
                    self.places[row] = Place(self.waiting.popleft())
                    fresh.append(number)
        if fresh:
            images = self._index(self.places[finished[number]].image for number in fresh)
            new = self._index(fresh)
            latents[new] = self.pivots[0, images]
            optimum.tokens[new], optimum.pooled[new] = self.null.tokens, self.null.pooled
        going = [number for number, row in enumerate(finished) if row in self.places]
        if len(going) < len(finished):
            self.inner.end(rows)
        if going:
            chosen = self._index(going)
            embeddings = PromptEmbeddings(optimum.tokens[chosen], optimum.pooled[chosen])
            self._begin([finished[number] for number in going], latents[chosen], embeddings)

    def _denoised(self, rows: Tensor, places: list[Place], optimum: PromptEmbeddings) -> Tensor:
        """Latents of ``rows`` after their DDIM steps with the embeddings ``optimum``; all of it is recorded."""
        result, inner = self.result, self.inner
        steps, images = self._index(p.step for p in places), self._index(p.image for p in places)
        result.tokens[steps, images], result.pooled[steps, images] = optimum.tokens, optimum.pooled
        before = inner.latents[rows]
        without = self.sampler.predict_rows(before, inner.timestep[rows], optimum, self.rows)
        guided = guide(without, inner.conditional[rows], self.sampler.guidance)
        latents = per_row(inner.keep[rows], before) * before + per_row(inner.add[rows], before) * guided
        result.trajectory[steps + 1, images] = latents
        distances = (latents - inner.target[rows]).square().flatten(1).mean(dim=1).tolist()
        broken = [place for place, distance in zip(places, distances) if not math.isfinite(distance)]
        if broken:
            stage = f'null-text optimisation at step {broken[0].step + 1}'
            raise NonFiniteError(stage, sorted(place.image for place in broken))
        for place, distance in zip(places, distances):
            result.inner_losses[place.image].append(place.losses)
            result.final_losses[place.image].append(distance)
        return latents

    def _begin(self, rows: list[int], latents: Tensor, null: PromptEmbeddings) -> None:
        """Let ``rows`` begin the DDIM steps that ``places`` says, from these latents and embeddings."""
        places = [self.places[row] for row in rows]
        steps, images = self._index(p.step for p in places), self._index(p.image for p in places)
        timestep = self.timesteps[steps]
        inputs = RowInputs(
            latents=latents,
            target=self.pivots[steps + 1, images],
            conditional=self.sampler.predict_rows(
                latents, timestep, self.source.expand(len(rows)), self.rows
            ),
            null=null,
            timestep=timestep,
            keep=self.keep[steps],
            add=self.add[steps],
            rate=self.rates[steps],
            stop=self.stops[steps],
        )
        self.inner.begin(self._index(rows), inputs)

    def _shrink(self) -> None:
        """Go on with fewer rows as soon as the images that are left fit into them."""
        model = self.sampler.model
        # With compiled blocks another size costs a compilation, which takes longer than it saves.
        size = len(self.inner) if model.compiled else model.fitting_rows(len(self.places), len(self.inner))
        if self.waiting or size == len(self.inner):
            return
        smaller = self._inner(size)
        smaller.take_over(self.inner, self._index(self.places))
        self.inner, self.places = smaller, dict(enumerate(self.places.values()))

    def _inner(self, rows: int) -> InnerStep:
        sampler, model = self.sampler, self.sampler.model
        latents = self.pivots[0, :1].expand(rows, -1, -1, -1).contiguous()
        key = ('inner step', tuple(latents.shape), sampler.attention)
        return model.kept(key, lambda: InnerStep(model, latents, self.null, sampler.attention))

    def _index(self, values: Iterable[int]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int64, device=self.sampler.model.device)
