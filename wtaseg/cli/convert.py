"""Converts what annotation programs export to label maps of class ids (8-bit PNG).

Colour or palette masks, by the colours of the dataset (or --colour attached=255,0,0 ...):
  python tools/dataset_tools/convert_labels.py palette MASKS --out data/my_set/ann_dir/train
Masks of 0 and 255, one folder per class:
  ... binary attached=MASKS_A broken=MASKS_B --out ...
Grey values or ids of another numbering:
  ... values MASKS --map 0=defect 128=attached 255=broken --out ...
LabelMe (a folder of JSON files) and COCO, as CVAT exports it:
  ... labelme FOLDER --map scratch=broken --out ...
  ... coco instances.json --out ...

A name, value or colour that stands for no class is refused with the file that it is in.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmseg.registry import DATASETS
from wtaseg.labels import annotations, masks
from wtaseg.labels.classes import ClassTable, ConversionError, pairs
from wtaseg.labels.writing import write_labels


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--out', type=Path, required=True, help='folder for the label maps: ann_dir/<split>')
    common.add_argument('--dataset', default='WTADataset', help='class whose METAINFO has names and colours')
    common.add_argument('--classes', nargs='+', help='class names in the order of their ids instead')
    common.add_argument('--overwrite', action='store_true', help='replace label maps that exist')

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)

    palette = commands.add_parser('palette', parents=[common], help='colour or palette masks')
    palette.add_argument('source', type=Path, help='folder of masks')
    palette.add_argument('--colour', nargs='+', default=[], metavar='CLASS=R,G,B', help='colour of a class')

    binary = commands.add_parser('binary', parents=[common], help='masks of 0 and 255 per class')
    binary.add_argument(
        'sources', nargs='+', metavar='CLASS=FOLDER', help='later classes lie over earlier ones'
    )

    values = commands.add_parser('values', parents=[common], help='grey values')
    values.add_argument('source', type=Path, help='folder of masks')
    values.add_argument('--map', nargs='+', required=True, metavar='VALUE=CLASS')

    labelme = commands.add_parser('labelme', parents=[common], help='LabelMe JSON files')
    labelme.add_argument('source', type=Path, help='folder of JSON files')
    labelme.add_argument('--line-width', type=int, help='width of line shapes in pixels')

    coco = commands.add_parser('coco', parents=[common], help='a COCO JSON file, as CVAT exports it')
    coco.add_argument('source', type=Path, help='JSON file')
    coco.add_argument(
        '--ignore-crowd', action='store_true', help='iscrowd becomes 255 (CVAT: its brush masks)'
    )
    for command in (labelme, coco):
        command.add_argument(
            '--map', nargs='+', default=[], metavar='NAME=CLASS', help='what other names mean'
        )
    return parser.parse_args(argv)


def class_table(args: argparse.Namespace) -> ClassTable:
    """Classes as the flags say.

    Raises:
        ValueError: The dataset class is not registered or names no classes.
    """
    renamed = pairs(args.map, '--map') if args.command in ('labelme', 'coco') else {}
    if args.classes:
        return ClassTable(args.classes, renamed=renamed)
    dataset = DATASETS.get(args.dataset)
    metainfo = getattr(dataset, 'METAINFO', {})
    if not metainfo.get('classes'):
        raise ValueError(f'--dataset {args.dataset}: not registered, or its METAINFO names no classes.')
    return ClassTable(metainfo['classes'], metainfo.get('palette', ()), renamed)


def jobs_of(args: argparse.Namespace) -> list[tuple]:
    """Name and maker of each label map that the command asks for.

    Raises:
        ValueError, FileNotFoundError: The flags or the source can not be used.
    """
    classes = class_table(args)
    if args.command == 'palette':
        table = classes.colours(pairs(args.colour, '--colour'))
        if not table:
            raise ValueError('No colours are known with --classes; give one --colour CLASS=R,G,B for each.')
        found = masks.find_masks(args.source)
        return [(name, partial(masks.ids_by_colour, path, table)) for name, path in found.items()]
    if args.command == 'values':
        table = masks.value_table(classes, pairs(args.map, '--map'))
        found = masks.find_masks(args.source)
        return [(name, partial(masks.ids_by_value, path, table)) for name, path in found.items()]
    if args.command == 'binary':
        of_image: dict[str, list] = {}
        for target, folder in pairs(args.sources, 'binary').items():
            for name, path in masks.find_masks(Path(folder)).items():
                of_image.setdefault(name, []).append((path, classes.id_of(target)))
        return [(name, partial(masks.ids_of_binary, layers)) for name, layers in sorted(of_image.items())]
    return _labelme_jobs(args, classes) if args.command == 'labelme' else _coco_jobs(args, classes)


def _labelme_jobs(args: argparse.Namespace, classes: ClassTable) -> list[tuple]:
    files = sorted(args.source.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{args.source} holds no .json file; give the folder that LabelMe wrote to.')
    jobs: dict[str, tuple] = {}
    for path in files:
        content = annotations.load_json(path)
        # The image itself may lie inside as base64; it is not needed and large.
        content.pop('imageData', None)
        name = annotations.labelme_name(path, content)
        if name in jobs:
            raise ConversionError(f'{path}: a second file for the image {name}. Remove one of them.')
        jobs[name] = (name, partial(annotations.labelme_ids, path, content, classes, args.line_width))
    return list(jobs.values())


def _coco_jobs(args: argparse.Namespace, classes: ClassTable) -> list[tuple]:
    if not args.source.is_file():
        raise FileNotFoundError(
            f'{args.source} does not exist; give the JSON file, e.g. instances_default.json.'
        )
    content = annotations.load_json(args.source)
    images = annotations.coco_images(args.source, content)
    categories = annotations.coco_categories(args.source, content, classes)
    draw = partial(annotations.coco_ids, args.source, categories=categories, ignore_crowd=args.ignore_crowd)
    return [(image.name, partial(draw, image)) for image in images]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        jobs = jobs_of(args)
        shown = track(jobs, description='converting', console=Console(stderr=True))
        written, failed = write_labels(shown, args.out, args.overwrite)
    except (ValueError, FileNotFoundError) as error:
        print(f'convert_labels: {error}', file=sys.stderr)
        return 1
    print(f'{args.out}: {written} label maps written, {len(failed)} not converted')
    for message in failed:
        print(f'convert_labels: {message}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
