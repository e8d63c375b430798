"""One training from its first to its last step, in pieces: AdamW, learning rate, moving average, saved state.

Step n draws from a generator that is seeded by n, so a training that was stopped and went on saw the same data in
the same order as one that was not.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

WARMUP_STEPS = 200
AVERAGE_DECAY = 0.999  # of the moving average of the weights
GRADIENT_LIMIT = 1.0  # norm
SAVE_SECONDS = 120
LOG_STEPS = 100
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
class Stage:
    """A training of some modules that can stop and go on.

    Attributes:
        name: Of the state file, ``<name>.state.pt`` in ``folder``.
        modules: By name; their parameters move.
        steps: In all; the learning rate has a warm-up and falls to 0 along a cosine.
        rate: The highest learning rate.
        step: Steps done.
    """

    name: str
    modules: dict[str, nn.Module]
    steps: int
    rate: float
    folder: Path
    seed: int
    device: torch.device
    step: int = 0
    report: Callable[[str], None] = print
    average: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = {
            f'{name}.{key}': value
            for name, module in self.modules.items()
            for key, value in module.named_parameters()
        }
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=self.rate,
            betas=(0.9, 0.99),
            weight_decay=0.01,
            fused=self.device.type == 'cuda',
        )
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

    def run(self, loss_of: Callable[[torch.Generator], Tensor], limit: Limit) -> bool:
        """Take the steps that are left, or those until ``limit``; returns whether all are done.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.done:
            return True
        last, first, saved = time.monotonic(), self.step, time.monotonic()
        total = torch.zeros((), device=self.device)
        while not self.done and not limit.reached():
            total += self.take_step(loss_of)
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

    def take_step(self, loss_of: Callable[[torch.Generator], Tensor]) -> Tensor:
        """One step; returns its loss, detached."""
        for group in self.optimizer.param_groups:
            group['lr'] = self.learning_rate()
        self.generator.manual_seed(self.seed * STEP_STRIDE + self.step)
        loss = loss_of(self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), GRADIENT_LIMIT)
        self.optimizer.step()
        # A short average at the start, or it would remember the initial weights.
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), [p.detach() for p in self.parameters.values()], 1 - decay
            )
        self.step += 1
        return loss.detach()

    def save(self) -> None:
        """Write the state; an atomic replacement of the last one."""
        state = {
            'step': self.step,
            'steps': self.steps,
            'parameters': {name: p.detach() for name, p in self.parameters.items()},
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
        state = torch.load(self.state_file, map_location=self.device, weights_only=True)
        if state['steps'] != self.steps:
            raise ValueError(
                f'{self.state_file} is of a training of {state["steps"]} steps, not {self.steps}; '
                'ask for as many as before or name another --out'
            )
        self.step = state['step']
        self.average = state['average']
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(state['parameters'][name])
        self.optimizer.load_state_dict(state['optimizer'])

    def use_average(self) -> None:
        """Give the modules the averaged weights."""
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(self.average[name])
