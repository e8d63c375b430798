"""``wta-seg render``, also ``python tools/dataset_tools/render_blades.py``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from wtaseg.cli import MANY, run_alone, stoppable


def command(
    *,
    out: Path = Path('data/wta_512'),
    train: int = 200,
    val: int = 40,
    test: int = 40,
    size: int = 512,
    seed: int = 0,
    workers: int = os.cpu_count() or 1,
    style: Annotated[tuple[str, ...], MANY] = (),
    style_sheet: Path | None = None,
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
    style
        WORD[=SHARE]: appearance of the defects: scratch, rust, peeling, corrosion, blistering, dent or none; several
        words share the images equally, or as told: none=0.5 rust=0.25 peeling=0.25
    style_sheet
        write a sheet of all styles to this PNG
    sheet
        write a contact sheet of the training split to this PNG
    """
    from wtaseg.blades.render import render
    from wtaseg.blades.style_sheet import write_style_sheet

    counts = {'train': train, 'val': val, 'test': test}
    with stoppable():
        summary = render(out, counts, size, seed, workers, style, sheet)
        if style_sheet:
            write_style_sheet(style_sheet, seed)
    print(summary)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/dataset_tools/render_blades.py``."""
    return run_alone(command, argv, 'render_blades')
