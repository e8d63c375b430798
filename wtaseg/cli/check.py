"""Checks a dataset in the img_dir/ann_dir layout and prints the share of each class per split.

python tools/dataset_tools/check_dataset.py data/wta_512

Exit status 1 when anything is wrong; every file is named with what to do about it.
"""

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmseg.datasets import WTADataset
from mmseg.datasets.check import check_dataset


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', metavar='DIR', help='folder with img_dir and ann_dir')
    parser.add_argument(
        '--classes',
        nargs='+',
        default=list(WTADataset.METAINFO['classes']),
        help='names of the classes in the order of their ids (default: %(default)s)',
    )
    parser.add_argument('--ignore-index', type=int, default=255, help='id of pixels that are not judged')
    parser.add_argument(
        '--reduce-zero-label', action='store_true', help='0 is ignored and the classes begin at 1'
    )
    parser.add_argument('--img-suffix', default='.png')
    parser.add_argument('--seg-map-suffix', default='.png')
    parser.add_argument('--workers', type=int, help='processes (default: one per processor for large sets)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    columns = (TextColumn('checking'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task('checking', total=None)
            report = check_dataset(
                args.root,
                ignore_index=args.ignore_index,
                classes=args.classes,
                workers=args.workers,
                img_suffix=args.img_suffix,
                seg_map_suffix=args.seg_map_suffix,
                reduce_zero_label=args.reduce_zero_label,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    except FileNotFoundError as error:
        print(f'check_dataset: {error}', file=sys.stderr)
        return 1
    print(report.table())
    if report.ok:
        print('Nothing is wrong.')
        return 0
    print('\n'.join(['', *report.problem_lines()]))
    return 1


if __name__ == '__main__':
    sys.exit(main())
