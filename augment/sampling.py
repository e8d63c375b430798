"""DDIM steps and predictions: the schedule, one captured UNet pass, and classifier-free guidance.

A prediction is copied into static buffers and computed by one function. On CUDA that function is captured once
as a CUDA graph and replayed: at these sizes the UNet's thousands of kernel launches cost more time than its
arithmetic. On the CPU the same function runs as it is.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from .attention import PromptEdit
from .model import EditModel, PromptEmbeddings

WARMUP_RUNS = 2  # before capture: lazy initialisation, autotuning and compilation must not be captured


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


def ddim_schedule(scheduler, steps: int) -> Schedule:
    """Ask a diffusers DDIM scheduler for its steps.

    A DDIM step without noise or clipping is linear in sample and prediction, whatever the model predicts, so
    stepping the pairs (1, 0) and (0, 1) reveals its two factors.

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
            'the DDIM steps of this model cannot be inverted: one of them forgets its input or starts with zero '
            'signal (rescale_betas_zero_snr?); use a model or scheduler configuration without that'
        )
    return Schedule(timesteps, keep, add)


class Replay:
    """Calls ``run()``; on CUDA captures it at first use and replays the graph from then on.

    Args:
        run: Reads and writes static tensors only.
        state: The tensors that ``run`` changes in place: put back after warming up and capturing.
    """

    def __init__(self, model: EditModel, run: Callable[[], None], state: list[Tensor]):
        self.model, self.run, self.state = model, run, state
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if not self.model.use_graphs:
            self.run()
            return
        if self.graph is None:
            self._capture()
        self.graph.replay()

    def _capture(self) -> None:
        before = [tensor.clone() for tensor in self.state]
        with torch.cuda.device(self.model.device):  # graphs are captured on the current device
            stream = self.model.graph_stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARMUP_RUNS):
                    self.run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.model.graph_pool(), stream=stream):
                self.run()
        for tensor, value in zip(self.state, before):
            tensor.copy_(value)
        self.graph = graph


class Prediction:
    """One UNet pass without gradient over static buffers, for ``rows`` latents of one size."""

    def __init__(self, model: EditModel, latents: Tensor, prompt: PromptEmbeddings, edit: PromptEdit | None):
        tokens, pooled, rows = prompt.tokens, prompt.pooled, len(latents)
        self.model = model
        self.latents = torch.empty(latents.shape, device=model.device)
        self.timestep = torch.zeros(1, dtype=torch.int64, device=model.device)
        self.tokens = torch.empty(rows, *tokens.shape[1:], device=model.device)
        self.pooled = torch.empty(rows, *pooled.shape[1:], device=model.device)
        self.output = torch.empty_like(self.latents)
        # LocalBlend's maps are summed up by the attention layers themselves.
        sums = [] if edit is None or edit.word_maps is None else [edit.word_maps.total]
        self._replay = Replay(model, self._run, sums)

    def _run(self) -> None:
        self.output.copy_(self.model.predict(self.latents, self.timestep, self.tokens, self.pooled))

    @torch.no_grad()
    def __call__(self, latents: Tensor, timestep: int, prompt: PromptEmbeddings) -> Tensor:
        self.latents.copy_(latents)
        self.timestep.fill_(timestep)
        self.tokens.copy_(prompt.tokens)
        self.pooled.copy_(prompt.pooled)
        with uncompiled(self.model):
            self._replay()
        return self.output.clone()


def uncompiled(model: EditModel):
    """Run eagerly inside, even where blocks are compiled.

    Only the inner step of null-text inversion runs often enough to earn its compilation back.
    """
    return torch.compiler.set_stance('force_eager') if model.compiled else nullcontext()


def predict(
    model: EditModel,
    latents: Tensor,
    timestep: int,
    prompt: PromptEmbeddings,
    rli_alpha: float,
    edit: PromptEdit | None = None,
) -> Tensor:
    """The model's prediction ``(R, 4, h, w)`` for R latents, each with its own row of ``prompt``.

    ``rli_alpha`` and ``edit`` say what the installed attention processors do: a captured graph holds on to that.
    """
    key = ('prediction', tuple(latents.shape), rli_alpha, None if edit is None else edit.phase())
    run = model.replay(key, lambda: Prediction(model, latents, prompt, edit))
    return run(latents, timestep, prompt)


def guide(unconditional: Tensor, conditional: Tensor, guidance: float | Tensor) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6, in the scale of Stable Diffusion)."""
    return unconditional + guidance * (conditional - unconditional)


def guided_prediction(
    model: EditModel,
    latents: Tensor,
    timestep: int,
    unconditional: PromptEmbeddings,
    conditional: PromptEmbeddings,
    guidance: float,
    rli_alpha: float,
    edit: PromptEdit | None = None,
    *,
    low_resource: bool,
) -> Tensor:
    """Guided prediction for R latents: both passes as one batch of 2R, or one after the other."""
    if low_resource:
        with nullcontext() if edit is None else edit.paused():
            without = predict(model, latents, timestep, unconditional, rli_alpha, edit)
        return guide(without, predict(model, latents, timestep, conditional, rli_alpha, edit), guidance)
    both = PromptEmbeddings.cat([unconditional, conditional])
    pair = predict(model, torch.cat([latents, latents]), timestep, both, rli_alpha, edit)
    return guide(*pair.chunk(2), guidance)
