"""Renders a synthetic dataset of blade images with rare defects in the img_dir/ann_dir layout.

python tools/dataset_tools/render_blades.py --out data/wta_512 --train 400 --val 60 --test 60

The same seed gives the same files, whatever the number of workers. Run again to go on where it stopped.
"""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from wtaseg.blades.dataset import render_dataset
from wtaseg.blades.sheet import sheet_of_dataset
from wtaseg.blades.style_sheet import write_style_sheet


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('data/wta_512'), help='dataset folder to write')
    parser.add_argument('--train', type=int, default=200, help='number of training images')
    parser.add_argument('--val', type=int, default=40, help='number of validation images')
    parser.add_argument('--test', type=int, default=40, help='number of test images')
    parser.add_argument('--size', type=int, default=512, help='side of the square images in pixels')
    parser.add_argument('--seed', type=int, default=0, help='another seed gives another dataset')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes that draw')
    parser.add_argument(
        '--style',
        nargs='+',
        default=(),
        metavar='WORD[=SHARE]',
        help='appearance of the defects: scratch, rust, peeling, corrosion, blistering, dent or none; several '
        'words share the images equally, or as told: none=0.5 rust=0.25 peeling=0.25',
    )
    parser.add_argument('--style-sheet', type=Path, help='write a sheet of all styles to this PNG')
    parser.add_argument('--sheet', type=Path, help='write a contact sheet of the training split to this PNG')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    counts = {'train': args.train, 'val': args.val, 'test': args.test}
    pixels, drawn = [0, 0, 0], 0
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task('rendering', total=sum(counts.values()))
            for result in render_dataset(args.out, counts, args.size, args.seed, args.workers, args.style):
                pixels = [a + b for a, b in zip(pixels, result.pixels)]
                drawn += result.drawn
                progress.advance(task)
        if args.style_sheet:
            write_style_sheet(args.style_sheet, args.seed)
        if args.sheet:
            sheet_of_dataset(args.out, next(s for s, n in counts.items() if n), args.sheet)
    except (ValueError, FileNotFoundError) as error:
        print(f'render_blades: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('render_blades: stopped; run the same command again to go on.', file=sys.stderr)
        return 130
    normal, attached, broken = (100 * p / sum(pixels) for p in pixels)
    print(
        f'{args.out}: {sum(counts.values())} images, {drawn} drawn now; '
        f'normal {normal:.2f} %, attached {attached:.3f} %, broken {broken:.4f} % of the pixels'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
