"""What number formats and batching cost null-text inversion, on the tiny model: the table in augment/README.md.

    python tests/augment/precision.py --images 16 --steps 10 20 50
    python tests/augment/precision.py --images 64 --steps 10 20 50 --device cuda

Every picture is inverted at guidance 15 and sampled again; its PSNR is that of the decoded result against the decoded
latents, both in float32. The float32 model taking one picture after the other is what the others are compared with.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file: the package is not beside it

from tiny_sdxl import build_tiny_sdxl, psnr, smooth_pictures

from augment.editing import reconstruct
from augment.inversion import invert
from augment.loading import DTYPES, load_model
from augment.model import EditModel

PROMPT = 'photo of a crack'


def measure(
    judge: EditModel, model: EditModel, latents: Tensor, batch: int, **options
) -> tuple[Tensor, float]:
    """PSNR of every picture, and the mean number of inner steps a picture took."""
    found, steps = [], 0
    for part in latents.split(batch):
        inversion = invert(model, part, PROMPT, **options)
        found.append(psnr(judge, reconstruct(model, inversion, PROMPT), part))
        steps += sum(inversion.stats['inner_steps'])
    return torch.cat(found), steps / len(latents)


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
    latents = judge.encode_images(smooth_pictures(args.images, torch.Generator().manual_seed(5)))
    rows = [('fp32, one by one', 'fp32', 1, 'null-text'), ('fp32, DDIM alone', 'fp32', args.images, 'ddim')]
    rows += [(f'{name}, batched', name, args.images, 'null-text') for name in DTYPES]
    for steps in args.steps:
        reference = None
        for label, name, batch, method in rows:
            found, taken = measure(judge, models[name], latents, batch, steps=steps, method=method)
            reference = found if reference is None else reference
            apart = found - reference
            row = {
                'ddim_steps': steps,
                'row': label,
                'psnr_db': round(found.mean().item(), 2),
                'against_reference_db': round(apart.mean().item(), 3),
                'standard_error_db': round(apart.std().item() / len(apart) ** 0.5, 3),
                'inner_steps_taken': round(taken, 1),
            }
            print(json.dumps(row), flush=True)


if __name__ == '__main__':
    main()
