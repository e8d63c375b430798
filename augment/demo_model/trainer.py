"""The two trainings of the demo model: the autoencoder, then the UNet with both text encoders on its latents."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from augment.demo_model.architecture import (
    WORDS,
    Parts,
    caption_ids,
    encode_captions,
    save_parts,
    target_prompt,
    time_ids,
)
from augment.demo_model.data import Crops
from augment.demo_model.latents import (
    VIEWS,
    Latents,
    load_or_encode,
    normalise_latents,
    to_unit,
    turned,
)
from augment.demo_model.losses import autoencoder_loss, min_snr_weights, noise_loss, pixel_weights
from augment.demo_model.stage import Limit, Stage, Task

CAPTIONS = ('', target_prompt(None), *map(target_prompt, WORDS))
LOOKS = len(CAPTIONS) - 1  # the source's look and the words


@dataclass
class Settings:
    """How much is trained, and how.

    Attributes:
        caption_dropout: Share of the samples that get the empty caption.
        caption_noise: Share of the others whose look is drawn at random. Guidance multiplies what captions tell
            apart. With captions that are always right it overshoots; with 0.75 of them drawn at random, guidance 15
            confused the words (README.md).
        views: Of each crop, that the UNet sees: as it is, transposed, mirrored, both.
        freeze_convolutions: Train the attention, embeddings and text encoders alone, which takes two thirds of the
            time; for a model that is trained further.
        dtype: Of the computations; auto: bf16 on a GPU, fp32 on the CPU.
    """

    vae_steps: int = 6500
    unet_steps: int = 16000
    vae_batch: int = 64
    unet_batch: int = 256
    vae_rate: float = 4e-4
    unet_rate: float = 4e-4
    caption_dropout: float = 0.1
    caption_noise: float = 0.1
    views: int = VIEWS
    freeze_convolutions: bool = False
    seed: int = 0
    dtype: Literal['auto', 'fp32', 'bf16'] = 'auto'
    compile: bool = False
    graph: bool = False


class Trainer:
    """Both trainings of one model.

    Args:
        folder: Gets the states of both trainings and, in the end, the folder ``weights``.
        keeps_vae: The autoencoder is trained already.
        keeps_latents: So is the UNet, on latents as that autoencoder gives them; they are not normalised again.
    """

    def __init__(
        self,
        parts: Parts,
        crops: Crops,
        settings: Settings,
        folder: Path,
        device: torch.device,
        report: Callable[[str], None] = print,
        keeps_vae: bool = False,
        keeps_latents: bool = False,
    ):
        self.keeps_vae, self.keeps_latents = keeps_vae, keeps_latents
        self.parts, self.settings, self.folder, self.device = parts, settings, folder, device
        self.report = report
        # On a CPU the other layout is slower, and torch 2.13 crashes in it where convolutions are frozen.
        self.layout = torch.channels_last if device.type == 'cuda' else torch.contiguous_format
        for module in parts.modules().values():
            module.to(device)
        for module in (parts.unet, parts.vae):
            module.to(memory_format=self.layout)
        self.cell = 2 ** (len(parts.vae.config.block_out_channels) - 1)
        self.images = torch.from_numpy(crops.images).permute(0, 3, 1, 2).contiguous().to(device)
        self.defects = torch.from_numpy(crops.defects)[:, None].to(device)
        self.words = torch.from_numpy(crops.words).long().to(device)
        self.size = self.images.shape[-1]

    def autocast(self) -> torch.autocast:
        """Computations in bfloat16 or in float32, see ``Settings.dtype``."""
        dtype, kind = self.settings.dtype, self.device.type
        half = dtype == 'bf16' or (dtype == 'auto' and kind == 'cuda')
        # Weights are used once a step, and a cache of their casts cannot be captured.
        return torch.autocast(kind, torch.bfloat16, enabled=half, cache_enabled=False)

    def run(self, limit: Limit) -> bool:
        """Train what is left until ``limit``; returns whether all is done and ``weights`` written."""
        s = self.settings
        if not self.keeps_vae:
            stage = self.stage('vae', {'vae': self.parts.vae}, s.vae_steps, s.vae_rate, s.seed)
            if not stage.run(self.autoencoder_task(), limit):
                return False
            stage.use_average()
        self.parts.vae.requires_grad_(False)
        latents = self.encode_all()
        if s.freeze_convolutions:
            for module in self.parts.unet.modules():
                if isinstance(module, torch.nn.Conv2d):
                    module.requires_grad_(False)
        modules = {name: m for name, m in self.parts.modules().items() if name != 'vae'}
        stage = self.stage('unet', modules, s.unet_steps, s.unet_rate, s.seed + 1)
        done = stage.run(self.unet_task(latents), limit)
        stage.use_average()
        save_parts(self.parts, self.folder / 'weights')
        return done

    def stage(self, name: str, modules: dict, steps: int, rate: float, seed: int) -> Stage:
        """One of the two trainings, where it stopped."""
        return Stage(
            name,
            modules,
            steps,
            rate,
            self.folder,
            seed,
            self.device,
            graph=self.settings.graph,
            report=self.report,
        )

    def autoencoder_task(self) -> Task:
        """Images to themselves."""
        vae, s = self.parts.vae, self.settings
        cells = self.size // self.cell

        def sample(generator: torch.Generator) -> dict[str, Tensor]:
            """A batch of crops, weights of their pixels, and noise for the latents."""
            index = draw(len(self.images), s.vae_batch, generator)
            view = generator.initial_seed() % VIEWS  # steps take turns
            images = to_unit(turned(self.images[index], view))
            return {
                'images': images.contiguous(memory_format=self.layout),
                'weights': pixel_weights(turned(self.defects[index], view), self.cell).contiguous(),
                'noise': torch.randn(s.vae_batch, 4, cells, cells, generator=generator, device=self.device),
            }

        def loss(images: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
            """The loss of the autoencoder for a batch."""
            with self.autocast():
                mean, log_variance = vae.quant_conv(vae.encoder(images)).chunk(2, dim=1)
                log_variance = log_variance.float().clamp(-30, 20)
                latents = mean.float() + (0.5 * log_variance).exp() * noise
                decoded = vae.decoder(vae.post_quant_conv(latents))
            return autoencoder_loss(images, decoded, mean, log_variance, weights)

        return Task(sample, torch.compile(loss) if s.compile else loss)

    def encode_all(self) -> Latents:
        """Latents of all views; afterwards those of the autoencoder have mean 0 and standard deviation 1 per channel."""
        vae, views = self.parts.vae, self.settings.views
        latents = load_or_encode(vae, self.images, self.defects, views, self.folder, self.autocast)
        self.report(
            f'{len(latents.values)} latents: means {numbers(latents.mean)}, '
            f'standard deviations {numbers(latents.std)}'
        )
        if not self.keeps_latents:
            latents.values = latents.standardised()
            normalise_latents(vae, latents.mean, latents.std)
        return latents

    def unet_task(self, latents: Latents) -> Task:
        """Noisy latents and captions to the noise."""
        parts, s = self.parts, self.settings
        alphas = parts.scheduler.alphas_cumprod.to(self.device)
        step_weights = min_snr_weights(alphas)
        unet = torch.compile(parts.unet) if s.compile else parts.unet
        # As in editing: the native size, whatever that of the crops.
        sizes = time_ids(parts.native_size, s.unet_batch, self.device)
        ids = caption_ids(parts, CAPTIONS, self.device)

        def sample(generator: torch.Generator) -> dict[str, Tensor]:
            """A batch of latents, with noise, time steps, captions and weights of the cells."""
            index = draw(len(latents.values), s.unet_batch, generator)
            clean, cells = latents.values[index].float(), latents.cells[index].float()
            return {
                'clean': clean,
                'noise': torch.randn(clean.shape, generator=generator, device=self.device),
                'times': draw(len(alphas), s.unet_batch, generator),
                'captions': self.captions(self.words[index % len(self.words)], generator),
                'cells': cells,
            }

        def loss(clean: Tensor, noise: Tensor, times: Tensor, captions: Tensor, cells: Tensor) -> Tensor:
            """The loss of the predicted noise for a batch."""
            alpha = alphas[times].view(-1, 1, 1, 1)
            noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
            with self.autocast():
                tokens, pooled = encode_captions(parts, ids)
                prediction = unet(
                    noisy.contiguous(memory_format=self.layout),
                    times,
                    encoder_hidden_states=tokens[captions],
                    added_cond_kwargs={'text_embeds': pooled[captions], 'time_ids': sizes},
                    return_dict=False,
                )[0]
            return noise_loss(prediction, noise, step_weights[times], cells)

        return Task(sample, loss)

    def captions(self, words: Tensor, generator: torch.Generator) -> Tensor:
        """Indices into CAPTIONS ``(N,)`` for crops with ``words``, some drawn at random, some empty."""
        s, count = self.settings, len(words)
        drawn = torch.rand(2, count, generator=generator, device=self.device)
        looks = torch.where(drawn[0] < s.caption_noise, draw(LOOKS, count, generator), words)
        return torch.where(drawn[1] < s.caption_dropout, 0, looks + 1)


def numbers(values: Tensor) -> str:
    """For a report."""
    return ' '.join(f'{value:.2f}' for value in values.tolist())


def draw(high: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` whole numbers from 0 to ``high - 1``."""
    return torch.randint(high, (count,), generator=generator, device=generator.device)
