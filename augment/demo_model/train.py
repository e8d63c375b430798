"""Train the demo model: ``python -m augment.demo_model.train --data data/demo_model --out work_dirs/demo_model``.

The autoencoder first, then the UNet together with both text encoders on its latents. ``--minutes`` stops a run
early with exit status 3; the same command goes on where it stopped. README.md says how the data are rendered.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from augment.demo_model.architecture import (
    WORDS,
    Architecture,
    Parts,
    build_parts,
    caption_ids,
    count_parameters,
    encode_captions,
    save_parts,
    target_prompt,
    time_ids,
)
from augment.demo_model.data import Crops, read_crops
from augment.demo_model.losses import (
    autoencoder_loss,
    cell_weights,
    min_snr_weights,
    noise_loss,
    pixel_weights,
)
from augment.demo_model.stage import Limit, Stage

CAPTIONS = ('', target_prompt(None), *map(target_prompt, WORDS))
LOOKS = len(CAPTIONS) - 1  # the source's look and the words
VIEWS = 4  # of each crop: as it is, turned by 90°, mirrored, both
UNFINISHED = 3  # exit status


@dataclass
class Settings:
    """How much is trained, and how.

    Attributes:
        caption_dropout: Share of the samples that get the empty caption.
        caption_noise: Share of the others whose word is drawn at random. Guidance multiplies what the captions
            tell apart; with captions that are always right, guidance 15 leads far beyond any image that the model
            has seen. With three of four drawn at random it leads to the middle of what a word means.
    """

    vae_steps: int = 6000
    unet_steps: int = 20000
    vae_batch: int = 64
    unet_batch: int = 256
    vae_rate: float = 4e-4
    unet_rate: float = 4e-4
    caption_dropout: float = 0.1
    caption_noise: float = 0.75
    seed: int = 0
    compile: bool = False


class Trainer:
    """Both trainings of one model.

    Args:
        folder: Gets ``crops.npz``, the states of both trainings and, in the end, the folder ``weights``.
    """

    def __init__(
        self, parts: Parts, crops: Crops, settings: Settings, folder: Path, device: torch.device, report=print
    ):
        self.parts, self.settings, self.folder, self.device = parts, settings, folder, device
        self.report = report
        for module in parts.modules().values():
            module.to(device)
        for module in (parts.unet, parts.vae):
            module.to(memory_format=torch.channels_last)
        self.cell = 2 ** (len(parts.vae.config.block_out_channels) - 1)
        self.images = torch.from_numpy(crops.images).permute(0, 3, 1, 2).contiguous().to(device)
        self.defects = torch.from_numpy(crops.defects)[:, None].to(device)
        self.words = torch.from_numpy(crops.words).long().to(device)
        self.size = self.images.shape[-1]

    def autocast(self) -> torch.autocast:
        """bfloat16 on a GPU, float32 on the CPU."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == 'cuda')

    def run(self, limit: Limit) -> bool:
        """Train what is left until ``limit``; returns whether all is done and ``weights`` written."""
        s = self.settings
        stage = Stage(
            'vae', {'vae': self.parts.vae}, s.vae_steps, s.vae_rate, self.folder, s.seed, self.device,
            report=self.report,
        )  # fmt: skip
        if not stage.run(self.autoencoder_step(), limit):
            return False
        stage.use_average()
        self.parts.vae.requires_grad_(False)
        del stage
        latents, cells = self.encode_all()
        modules = {name: m for name, m in self.parts.modules().items() if name != 'vae'}
        stage = Stage(
            'unet', modules, s.unet_steps, s.unet_rate, self.folder, s.seed + 1, self.device,
            report=self.report,
        )  # fmt: skip
        done = stage.run(self.unet_step(latents, cells), limit)
        stage.use_average()
        save_parts(self.parts, self.folder / 'weights')
        return done

    def autoencoder_step(self):
        """The loss of one step of the autoencoder, as a function of a generator."""
        vae, s = self.parts.vae, self.settings

        def loss(images: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
            with self.autocast():
                mean, log_variance = vae.quant_conv(vae.encoder(images)).chunk(2, dim=1)
                log_variance = log_variance.float().clamp(-30, 20)
                latents = mean.float() + (0.5 * log_variance).exp() * noise
                decoded = vae.decoder(vae.post_quant_conv(latents))
            return autoencoder_loss(images, decoded, mean, log_variance, weights)

        loss = torch.compile(loss) if s.compile else loss
        cells = self.size // self.cell

        def step(generator: torch.Generator) -> Tensor:
            index = draw(len(self.images), s.vae_batch, generator)
            view = generator.initial_seed() % VIEWS  # steps take turns
            noise = torch.randn(s.vae_batch, 4, cells, cells, generator=generator, device=self.device)
            images = to_unit(turned(self.images[index], view))
            weights = pixel_weights(turned(self.defects[index], view), self.cell)
            return loss(images.contiguous(memory_format=torch.channels_last), weights, noise)

        return step

    @torch.no_grad()
    def encode_all(self) -> tuple[Tensor, Tensor]:
        """Scaled latents of all views, ``(VIEWS * N, 4, h, w)`` float16, and the weights of their cells.

        Measures the scaling factor, with which latents have a standard deviation of 1.
        """
        vae = self.parts.vae
        latents, cells = [], []
        for view in range(VIEWS):
            for images, defects in zip(self.images.split(256), self.defects.split(256)):
                batch = to_unit(turned(images, view)).contiguous(memory_format=torch.channels_last)
                with self.autocast():
                    mean = vae.encode(batch).latent_dist.mode()
                latents.append(mean.float().contiguous())
                cells.append(cell_weights(turned(defects, view), self.cell))
        values = torch.cat(latents)
        factor = round(1 / values.double().std().item(), 5)
        vae.register_to_config(scaling_factor=factor)
        means = ' '.join(f'{m * factor:.2f}' for m in values.mean(dim=(0, 2, 3)).tolist())
        stds = ' '.join(f'{m * factor:.2f}' for m in values.std(dim=(0, 2, 3)).tolist())
        self.report(f'{len(values)} latents: scaling factor {factor}, channel means {means}, std {stds}')
        return (values * factor).half(), torch.cat(cells)

    def unet_step(self, latents: Tensor, cells: Tensor):
        """The loss of one step of the UNet and the text encoders, as a function of a generator."""
        parts, s = self.parts, self.settings
        alphas = parts.scheduler.alphas_cumprod.to(self.device)
        step_weights = min_snr_weights(alphas)
        unet = torch.compile(parts.unet) if s.compile else parts.unet
        sizes = time_ids(self.size, s.unet_batch, self.device)
        ids = caption_ids(parts, CAPTIONS, self.device)

        def step(generator: torch.Generator) -> Tensor:
            index = draw(len(latents), s.unet_batch, generator)
            clean = latents[index].float()
            noise = torch.randn(clean.shape, generator=generator, device=self.device)
            times = draw(len(alphas), s.unet_batch, generator)
            captions = self.captions(self.words[index % len(self.words)], generator)
            alpha = alphas[times].view(-1, 1, 1, 1)
            noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
            with self.autocast():
                tokens, pooled = encode_captions(parts, ids)
                prediction = unet(
                    noisy.contiguous(memory_format=torch.channels_last),
                    times,
                    encoder_hidden_states=tokens[captions],
                    added_cond_kwargs={'text_embeds': pooled[captions], 'time_ids': sizes},
                    return_dict=False,
                )[0]
            return noise_loss(prediction, noise, step_weights[times], cells[index])

        return step

    def captions(self, words: Tensor, generator: torch.Generator) -> Tensor:
        """Indices into CAPTIONS ``(N,)`` for crops with ``words``, some drawn at random, some empty."""
        s, count = self.settings, len(words)
        drawn = torch.rand(2, count, generator=generator, device=self.device)
        looks = torch.where(drawn[0] < s.caption_noise, draw(LOOKS, count, generator), words)
        return torch.where(drawn[1] < s.caption_dropout, 0, looks + 1)


def draw(high: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` whole numbers from 0 to ``high - 1``."""
    return torch.randint(high, (count,), generator=generator, device=generator.device)


def turned(images: Tensor, view: int) -> Tensor:
    """View number ``view`` of square images ``(N, C, H, W)``."""
    images = images.transpose(-1, -2) if view & 1 else images
    return images.flip(-1) if view & 2 else images


def to_unit(images: Tensor) -> Tensor:
    """Bytes to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def load_crops(data: Path, folder: Path, size: int, workers: int) -> Crops:
    """The crops of the training split, kept in ``folder`` for the runs that go on."""
    path = folder / 'crops.npz'
    if not path.is_file():
        read_crops(data, 'train', size, workers).save(path)
    return Crops.load(path)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    default = Settings()
    parser = argparse.ArgumentParser(prog='python -m augment.demo_model.train', description=__doc__)
    parser.add_argument(
        '--data', type=Path, required=True, help='dataset with styles (wta-seg render --style)'
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the states and the weights')
    parser.add_argument('--minutes', type=float, default=0.0, help='stop after so many minutes; 0: never')
    parser.add_argument('--vae-steps', type=int, default=default.vae_steps)
    parser.add_argument('--unet-steps', type=int, default=default.unet_steps)
    parser.add_argument('--vae-batch', type=int, default=default.vae_batch)
    parser.add_argument('--unet-batch', type=int, default=default.unet_batch)
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument('--compile', action='store_true', help='compile both networks (GPU)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes that cut the crops'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 when all is trained, 3 when ``--minutes`` ended it, 2 for bad input."""
    args = parse_args(argv)
    limit = Limit.minutes(args.minutes)
    settings = Settings(
        vae_steps=args.vae_steps,
        unet_steps=args.unet_steps,
        vae_batch=args.vae_batch,
        unet_batch=args.unet_batch,
        seed=args.seed,
        compile=args.compile,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    architecture = Architecture()
    try:
        crops = load_crops(args.data, args.out, architecture.size, args.workers)
        parts = build_parts(architecture, args.seed)
        print(f'{len(crops)} crops; parameters: {count_parameters(parts)}', flush=True)
        trainer = Trainer(parts, crops, settings, args.out, torch.device(args.device))
        done = trainer.run(limit)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0 if done else UNFINISHED


if __name__ == '__main__':
    sys.exit(main())
