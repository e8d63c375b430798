"""Train the demo model: ``python -m augment.demo_model.train --data data/demo_model --out work_dirs/demo_model``.

The autoencoder first, then the UNet together with both text encoders on its latents. ``--minutes`` stops a run
early with exit status 3; the same command goes on where it stopped. README.md says how the data are rendered.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from augment.demo_model.architecture import Architecture, Parts, build_parts, count_parameters, read_parts
from augment.demo_model.data import Crops, read_crops
from augment.demo_model.latents import VIEWS
from augment.demo_model.stage import Limit
from augment.demo_model.trainer import Settings, Trainer

UNFINISHED = 3  # exit status


def load_crops(data: Path, folder: Path, size: int, workers: int) -> Crops:
    """The crops of the training split, kept in ``folder`` for the runs that go on."""
    path = folder / 'crops.npz'
    if not path.is_file():
        read_crops(data, 'train', size, workers).save(path)
    return Crops.load(path)


def first_parts(args: argparse.Namespace) -> Parts:
    """The model before training: untrained, with the autoencoder of ``--vae``, or that of ``--init``."""
    if args.init:
        return read_parts(args.init)
    parts = build_parts(Architecture(), args.seed)
    if args.vae:
        parts.vae = AutoencoderKL.from_pretrained(args.vae, subfolder='vae', torch_dtype=torch.float32)
    return parts


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
    parser.add_argument('--unet-rate', type=float, default=default.unet_rate, help='highest learning rate')
    parser.add_argument(
        '--caption-noise', type=float, default=default.caption_noise, help='share of captions drawn at random'
    )
    parser.add_argument('--seed', type=int, default=default.seed)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--init', type=Path, help='model to start from; its autoencoder is kept, the rest is trained further'
    )
    start.add_argument('--vae', default='', help='model whose autoencoder is taken instead of training one')
    parser.add_argument(
        '--views',
        type=int,
        default=default.views,
        choices=range(1, VIEWS + 1),
        help='orientations of each crop',
    )
    parser.add_argument(
        '--size', type=int, default=0, help='side of the crops; 0: the native size of the model'
    )
    parser.add_argument(
        '--freeze-convolutions',
        action='store_true',
        help='train attention, embeddings and text encoders alone',
    )
    parser.add_argument('--dtype', default=default.dtype, choices=('auto', 'fp32', 'bf16'))
    parser.add_argument('--compile', action='store_true', help='compile both networks (GPU)')
    parser.add_argument('--graph', action='store_true', help='capture the steps as a CUDA graph')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='processes that cut the crops'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 when all is trained, 3 when ``--minutes`` ended it, 2 for bad input."""
    args = parse_args(argv)
    limit = Limit.minutes(args.minutes)
    settings = Settings(**{f.name: getattr(args, f.name) for f in fields(Settings) if hasattr(args, f.name)})
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        parts = first_parts(args)
        crops = load_crops(args.data, args.out, args.size or parts.native_size, args.workers)
        print(f'{len(crops)} crops; parameters: {count_parameters(parts)}', flush=True)
        trainer = Trainer(
            parts,
            crops,
            settings,
            args.out,
            torch.device(args.device),
            keeps_vae=bool(args.vae or args.init),
            keeps_latents=bool(args.init),
        )
        done = trainer.run(limit)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0 if done else UNFINISHED


if __name__ == '__main__':
    sys.exit(main())
