"""One training from its first to its last step, in pieces: AdamW, learning rate, moving average, saved state.

Step n draws from a generator that is seeded by n, so a training that was stopped and went on saw the same data in
the same order as one that was not. On a GPU, forward pass, backward pass and optimizer can be one CUDA graph: the
networks are so small that launching their kernels takes longer than running them.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WARMUP_STEPS = 200
AVERAGE_DECAY = 0.999  # of the moving average of the weights, at most
AVERAGED_SHARE = 0.1  # of all steps, that it covers at most: a short training leaves its first weights behind
GRADIENT_LIMIT = 1.0  # norm
SAVE_SECONDS = 120
LOG_STEPS = 100
GRAPH_WARMUP = 4  # steps before the capture: compilation and autotuning must not be captured
STEP_STRIDE = 1_000_003  # between the seeds of two trainings; a prime above any number of steps


@dataclass
class Limit:
    """The moment at which a run stops, in seconds of the monotonic clock; None: never."""

    end: float | None = None

    @classmethod
    def minutes(cls, minutes: float) -> 'Limit':
        """So many minutes from now; 0: never."""
        return cls(time.monotonic() + 60 * minutes if minutes else None)

    def reached(self) -> bool:
        """Whether that moment has passed."""
        return self.end is not None and time.monotonic() >= self.end


@dataclass
class Task:
    """What a step computes: ``sample`` draws a batch of tensors, ``loss`` maps it to the loss."""

    sample: Callable[[torch.Generator], dict[str, Tensor]]
    loss: Callable[..., Tensor]


@dataclass
class Stage:
    """A training of some modules that can stop and go on.

    Attributes:
        name: Of the state file, ``<name>.state.pt`` in ``folder``.
        modules: By name; their parameters that require gradients move.
        steps: In all; the learning rate has a warm-up and falls to 0 along a cosine.
        rate: The highest learning rate.
        graph: Capture the steps as a CUDA graph.
        step: Steps done.
    """

    name: str
    modules: dict[str, nn.Module]
    steps: int
    rate: float
    folder: Path
    seed: int
    device: torch.device
    graph: bool = False
    step: int = 0
    report: Callable[[str], None] = print
    average: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = {
            f'{name}.{key}': value
            for name, module in self.modules.items()
            for key, value in module.named_parameters()
            if value.requires_grad
        }
        # Running means and variances of batch normalisation; without them a training that goes on ends elsewhere.
        self.buffers = {
            f'{name}.{key}': value
            for name, module in self.modules.items()
            for key, value in module.named_buffers()
        }
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=torch.tensor(self.rate, device=self.device) if self.graph else self.rate,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            fused=self.device.type == 'cuda',
            capturable=self.graph,
        )
        self.captured: torch.cuda.CUDAGraph | None = None
        self.batch: dict[str, Tensor] = {}
        self.loss = torch.zeros((), device=self.device)
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.generator = torch.Generator(self.device)
        if self.state_file.is_file():
            self.load()

    @property
    def state_file(self) -> Path:
        """Holds everything that goes on."""
        return self.folder / f'{self.name}.state.pt'

    @property
    def done(self) -> bool:
        """Whether all steps were taken."""
        return self.step >= self.steps

    def learning_rate(self) -> float:
        """At the next step."""
        warmup = min(WARMUP_STEPS, max(1, self.steps // 10))
        if self.step < warmup:
            return self.rate * (self.step + 1) / warmup
        return self.rate * 0.5 * (1 + math.cos(math.pi * (self.step - warmup) / max(1, self.steps - warmup)))

    def run(self, task: Task, limit: Limit) -> bool:
        """Take the steps that are left, or those until ``limit``; returns whether all are done.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.done:
            return True
        last, first, saved = time.monotonic(), self.step, time.monotonic()
        total = torch.zeros((), device=self.device)
        while not self.done and not limit.reached():
            total += self.take_step(task)
            if self.step % LOG_STEPS == 0 or self.done:
                loss, now = total.item() / (self.step - first), time.monotonic()
                if not math.isfinite(loss):
                    raise FloatingPointError(f'{self.name}: loss {loss} at step {self.step}; lower the rate')
                pace = (now - last) / (self.step - first)
                self.report(
                    f'{self.name}: step {self.step}/{self.steps} loss {loss:.5f} '
                    f'{1000 * pace:.1f} ms/step, {pace * (self.steps - self.step) / 60:.1f} min left'
                )
                total.zero_()
                last, first = now, self.step
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()
        return self.done

    def take_step(self, task: Task) -> Tensor:
        """One step; returns its loss, detached."""
        for group in self.optimizer.param_groups:
            if self.graph:
                group['lr'].fill_(self.learning_rate())
            else:
                group['lr'] = self.learning_rate()
        self.generator.manual_seed(self.seed * STEP_STRIDE + self.step)
        batch = task.sample(self.generator)
        if not self.graph:
            loss = self.update(task, batch)
        else:
            loss = self.graph_update(task, batch)
        # A short average at the start, or it would remember the initial weights.
        longest = max(0.0, 1 - 1 / (AVERAGED_SHARE * self.steps))
        decay = min(AVERAGE_DECAY, longest, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), [p.detach() for p in self.parameters.values()], 1 - decay
            )
        self.step += 1
        return loss

    def update(self, task: Task, batch: dict[str, Tensor]) -> Tensor:
        """Forward pass, backward pass and optimizer; returns the loss, detached."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = task.loss(**batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), GRADIENT_LIMIT)
        self.optimizer.step()
        return loss.detach()

    def graph_update(self, task: Task, batch: dict[str, Tensor]) -> Tensor:
        """The same as a CUDA graph over static buffers, captured at the first call.

        The steps that warm it up repeat the first batch; afterwards the state is as it was before them.
        """
        if self.captured is None:
            self.batch = {name: value.clone() for name, value in batch.items()}
            self.capture(task)
        for name, value in batch.items():
            self.batch[name].copy_(value)
        self.captured.replay()
        return self.loss.clone()

    def capture(self, task: Task) -> None:
        """Warm up and capture ``update``; weights and optimizer end as they were."""
        stream = torch.cuda.Stream(self.device)
        fresh = not self.optimizer.state
        before = [value.detach().clone() for value in self.tensors()]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(GRAPH_WARMUP):
                self.update(task, self.batch)
        torch.cuda.current_stream().wait_stream(stream)
        self.captured = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.captured, stream=stream):
            self.loss.copy_(self.update(task, self.batch))
        with torch.no_grad():
            for index, value in enumerate(self.tensors()):
                if index < len(before):
                    value.copy_(before[index])
                elif fresh:
                    value.zero_()

    def tensors(self) -> list[Tensor]:
        """Weights, then the optimizer's moments and counts: what a step changes in place."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*self.parameters.values(), *moments]

    def save(self) -> None:
        """Write the state; an atomic replacement of the last one."""
        state = {
            'step': self.step,
            'steps': self.steps,
            'parameters': {name: p.detach() for name, p in self.parameters.items()},
            'buffers': self.buffers,
            'average': self.average,
            'optimizer': self.optimizer.state_dict(),
        }
        temporary = self.state_file.with_name(f'.{self.state_file.name}.{os.getpid()}')
        torch.save(state, temporary)
        temporary.replace(self.state_file)

    def load(self) -> None:
        """Go on where the saved state stopped.

        Raises:
            ValueError: It belongs to another number of steps, whose learning rates were others.
        """
        state: dict[str, Any] = torch.load(self.state_file, map_location=self.device, weights_only=True)
        if state['steps'] != self.steps:
            raise ValueError(
                f'{self.state_file} is of a training of {state["steps"]} steps, not {self.steps}; '
                'ask for as many as before or name another --out'
            )
        self.step = state['step']
        self.average = state['average']
        with torch.no_grad():
            for name, value in (self.parameters | self.buffers).items():
                value.copy_((state['parameters'] | state['buffers'])[name])
        self.optimizer.load_state_dict(state['optimizer'])

    def use_average(self) -> None:
        """Give the modules the averaged weights."""
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(self.average[name])
