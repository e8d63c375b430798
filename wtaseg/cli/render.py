"""``wta-seg render``, also ``python tools/dataset_tools/render_blades.py``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from wtaseg.cli import run_alone

INTERRUPTED = 130


def command(
    *,
    out: Path = Path('data/wta_512'),
    train: int = 200,
    val: int = 40,
    test: int = 40,
    size: int = 512,
    seed: int = 0,
    workers: int = os.cpu_count() or 1,
    sheet: Path | None = None,
) -> int:
    """Render a synthetic dataset of blade images with rare defects in the img_dir/ann_dir layout.

    Example: ``wta-seg render --out data/wta_512 --train 400 --val 60 --test 60``

    The same seed gives the same files for any number of workers. Run again, it continues where it stopped.

    Parameters
    ----------
    out
        dataset folder to write
    train
        number of training images
    val
        number of validation images
    test
        number of test images
    size
        side of the square images in pixels
    seed
        another seed gives another dataset
    workers
        processes that draw
    sheet
        write a contact sheet of the training split to this PNG
    """
    from wtaseg.blades.render import render

    try:
        print(render(out, {'train': train, 'val': val, 'test': test}, size, seed, workers, sheet))
    except KeyboardInterrupt:
        print('Stopped; run the same command again to continue.', file=sys.stderr)
        return INTERRUPTED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/dataset_tools/render_blades.py``."""
    return run_alone(command, argv, 'render_blades')
