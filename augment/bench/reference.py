"""The published way of working, for comparison: float32, one image, explicit attention, eager."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from augment.bench.random_model import TimedModel, build_model
from augment.config import AugmentConfig
from augment.diffusion.attention import AttentionProcessors, EditAttention
from augment.diffusion.model import PromptEmbeddings
from augment.diffusion.null_text import learning_rate
from augment.diffusion.sampling import Schedule, ddim_schedule, guide

WORD = AugmentConfig().word[0]
SOURCE, TARGET = AugmentConfig.source_prompt, AugmentConfig().prompt(WORD)
GUIDANCE, RLI_ALPHA, INNER_STEPS = (
    AugmentConfig.guidance,
    AugmentConfig.rli_alpha,
    AugmentConfig.inner_steps,
)


class ExplicitAttention(EditAttention):
    """Attention that writes its maps to memory, as the published code does."""

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, scale: float, *, cross: bool) -> Tensor:
        return (query @ key.transpose(-1, -2) * scale).softmax(dim=-1) @ value


def synchronize(device: str | torch.device) -> None:
    """Wait for the device."""
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()


def timed(device: str | torch.device, run: Callable[[], Any]) -> float:
    """Seconds that ``run`` takes, device work included."""
    synchronize(device)
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start


def peak_memory(device: str | torch.device) -> float | None:
    """Peak of allocated GPU memory in GiB since the last call; None on the CPU."""
    if torch.device(device).type != 'cuda':
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


class ReferenceRun:
    """The parts of inversion and editing as the published code does them.

    The frozen UNet and the conditional prediction, taken once per DDIM step in the inner loop, are granted to it; map
    replacement is left out, which favours it.

    Args:
        model: In float32; explicit attention is installed.
        image: ``(1, 3, H, W)`` in [-1, 1].
        schedule: All DDIM steps.
        steps: How many of them are taken, the first ones of each part.
    """

    def __init__(self, model: TimedModel, image: Tensor, schedule: Schedule, steps: int):
        self.model, self.image, self.schedule, self.steps = model, image, schedule, steps
        self.source, self.null = (model.encode_prompt([prompt]) for prompt in (SOURCE, ''))
        self.timesteps = [torch.tensor([t], device=model.device) for t in schedule.timesteps]
        self.latent = model.encode_images(image)

    @torch.no_grad()
    def warm_up(self) -> None:
        """One pass of UNet and autoencoder, in which algorithms are chosen."""
        self.model.predict(self.latent, self.timesteps[0], self.source.tokens, self.source.pooled)
        self.autoencoder()

    @torch.no_grad()
    def invert(self) -> None:
        """The last ``steps`` steps of DDIM inversion."""
        z, source = self.latent, self.source
        for i in reversed(range(len(self.schedule) - self.steps, len(self.schedule))):
            z = self.schedule.invert(
                i, z, self.model.predict(z, self.timesteps[i], source.tokens, source.pooled)
            )

    def optimise(self) -> None:
        """Null-text optimisation, every inner step taken."""
        model, schedule, source = self.model, self.schedule, self.source
        z, tokens, pooled = self.latent, self.null.tokens, self.null.pooled
        for i in range(self.steps):
            timestep = self.timesteps[i]
            tokens, pooled = (t.detach().clone().requires_grad_() for t in (tokens, pooled))
            adam = torch.optim.Adam([tokens, pooled], lr=learning_rate(i))
            with torch.no_grad():
                conditional = model.predict(z, timestep, source.tokens, source.pooled)
            for _ in range(INNER_STEPS):
                without = model.predict(z, timestep, tokens, pooled)
                reached = schedule.denoise(i, z, guide(without, conditional, GUIDANCE))
                loss = (reached - self.latent).square().mean()
                adam.zero_grad()
                loss.backward()
                adam.step()
                loss.item()
            with torch.no_grad():
                both = PromptEmbeddings.cat([PromptEmbeddings(tokens, pooled), source])
                pair = model.predict(torch.cat([z, z]), timestep, both.tokens, both.pooled)
                z = schedule.denoise(i, z, guide(*pair.chunk(2), GUIDANCE))

    @torch.no_grad()
    def edit(self) -> None:
        """Guided sampling of a source and its target."""
        rows = PromptEmbeddings.cat([self.null, self.null, self.source, self.source])
        z = self.latent.repeat(2, 1, 1, 1)
        for i in range(self.steps):
            pair = self.model.predict(torch.cat([z, z]), self.timesteps[i], rows.tokens, rows.pooled)
            z = self.schedule.denoise(i, z, guide(*pair.chunk(2), GUIDANCE))

    def autoencoder(self) -> None:
        """Encode the image, decode source and target."""
        z = self.model.encode_images(self.image)
        self.model.decode_latents(torch.cat([z, z]))

    def seconds(self) -> dict[str, float]:
        """Seconds of each part, scaled from the steps taken to all of them."""
        self.warm_up()
        factor = len(self.schedule) / self.steps
        parts = {'inversion': self.invert, 'null-text': self.optimise, 'edit': self.edit}
        seconds = {name: timed(self.model.device, run) * factor for name, run in parts.items()}
        return seconds | {'autoencoder': timed(self.model.device, self.autoencoder)}


def measure_reference(
    parts: tuple, device: str, images: Tensor, steps: int, whole_steps: int
) -> dict[str, Any]:
    """Seconds per image of the published way: ``whole_steps`` DDIM steps measured, scaled to ``steps``."""
    model = build_model(*parts, device, torch.float32)
    peak_memory(device)
    schedule = ddim_schedule(model.scheduler, steps)
    with AttentionProcessors(model.unet, RLI_ALPHA, processor=ExplicitAttention).installed():
        seconds = ReferenceRun(model, images[:1], schedule, whole_steps).seconds()
    return {
        'style': 'float32, batch 1, explicit attention, eager, every inner step',
        'seconds_per_image': sum(seconds.values()),
        'parts': seconds,
        'measured_ddim_steps': whole_steps,
        'extrapolated_to_ddim_steps': steps,
        'peak_memory_gib': peak_memory(device),
    }
