"""Effect of number formats and batching on null-text inversion, on the tiny model: the table in augment/README.md.

    PYTHONPATH=.:tests/helpers python tests/augment/precision.py --images 16 --steps 10 20 50
    PYTHONPATH=.:tests/helpers python tests/augment/precision.py --images 64 --steps 10 20 50 --device cuda

Every image is inverted at guidance 15 and sampled again; its PSNR is that of the decoded result against the decoded
latents, both in float32. The reference is the float32 model with one image after the other.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from tiny_sdxl import build_tiny_sdxl, psnr, smooth_images
from torch import Tensor

from augment.diffusion.editing import reconstruct
from augment.diffusion.inversion import invert
from augment.diffusion.loading import DTYPES, load_model
from augment.diffusion.model import EditModel

PROMPT = 'photo of a crack'


def measure(
    judge: EditModel, model: EditModel, latents: Tensor, batch: int, **options
) -> tuple[Tensor, float]:
    """PSNR of every image, and the mean number of inner steps of an image."""
    psnrs, steps = [], 0
    for part in latents.split(batch):
        inversion = invert(model, part, PROMPT, **options)
        psnrs.append(psnr(judge, reconstruct(model, inversion, PROMPT), part))
        steps += sum(inversion.stats['inner_steps'])
    return torch.cat(psnrs), steps / len(latents)


def main() -> None:
    """Measure and print one JSON line a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=16)
    parser.add_argument('--steps', type=int, nargs='+', default=[10], help='DDIM steps')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        where = str(build_tiny_sdxl(Path(directory)))
        models = {name: load_model(where, device=args.device, dtype=name) for name in DTYPES}
    judge = models['fp32']
    latents = judge.encode_images(smooth_images(args.images, torch.Generator().manual_seed(5)))
    rows = [('fp32, one by one', 'fp32', 1, 'null-text'), ('fp32, DDIM alone', 'fp32', args.images, 'ddim')]
    rows += [(f'{name}, batched', name, args.images, 'null-text') for name in DTYPES]
    for steps in args.steps:
        reference = None
        for label, name, batch, method in rows:
            psnrs, taken = measure(judge, models[name], latents, batch, steps=steps, method=method)
            reference = psnrs if reference is None else reference
            difference = psnrs - reference
            row = {
                'ddim_steps': steps,
                'row': label,
                'psnr_db': round(psnrs.mean().item(), 2),
                'against_reference_db': round(difference.mean().item(), 3),
                'standard_error_db': round(difference.std().item() / len(difference) ** 0.5, 3),
                'inner_steps_taken': round(taken, 1),
            }
            print(json.dumps(row), flush=True)


if __name__ == '__main__':
    main()
