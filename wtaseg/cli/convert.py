"""``wta-seg convert``, also ``python tools/dataset_tools/convert_labels.py``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from wtaseg.cli import MANY, make_app, run, stoppable
from wtaseg.cli.label_export import to_coco, to_labelme

if TYPE_CHECKING:
    from wtaseg.labels.classes import ClassTable
    from wtaseg.labels.writing import LabelJob

DEFAULT_DATASET = 'WTADataset'

command = make_app(
    'convert',
    help="""Convert masks or annotations to label maps of class ids (8-bit PNG), and label maps back to annotations.

Example: `wta-seg convert palette MASKS --out data/my_set/ann_dir/train`

A class name, value or colour that stands for no class is refused with the file that contains it.""",
    help_format='markdown',
    version_flags=(),
)


@Parameter(name='*')
@dataclass(frozen=True)
class Target:
    """Where label maps go, and the classes they hold.

    Parameters
    ----------
    out
        folder for the label maps: ann_dir/SPLIT
    dataset
        dataset class whose METAINFO has class names and colours
    classes
        class names in the order of their ids, in place of --dataset [default: those of wta-seg new in --out]
    overwrite
        replace existing label maps that differ
    images
        folder of the images: labels are checked against them, and turned where they fit only the image before its EXIF
        rotation
    empty_label
        missing: images of --images without a label are all normal
    """

    out: Path
    dataset: str = DEFAULT_DATASET
    classes: Annotated[tuple[str, ...], MANY] = ()
    overwrite: bool = False
    images: Path | None = None
    empty_label: Literal['missing'] | None = None

    def class_table(self, renamed: Sequence[str] = ()) -> 'ClassTable':
        """The classes, with ``NAME=CLASS`` for other names."""
        from wtaseg.labels.augmented import dataset_of
        from wtaseg.labels.convert import dataset_classes
        from wtaseg.labels.record import read_settings

        root, names = dataset_of(self.out), self.classes
        if not names and root is not None and self.dataset == DEFAULT_DATASET:
            names = read_settings(root).get('classes', ())
        return dataset_classes(self.dataset, names, renamed)

    def write(self, jobs: 'list[LabelJob]') -> int:
        """Write label maps, print what was done; returns 1 if one failed."""
        from rich.console import Console
        from rich.progress import track

        from wtaseg.labels.augmented import mark_drawn, without_rejected
        from wtaseg.labels.writing import write_labels

        jobs, turned = self._fitted(jobs)
        jobs, rejected = without_rejected(jobs, self.out)
        if rejected:
            print(f'{len(rejected)} labels of rejected edits are left out, for one {rejected[0]}')
        progress = track(jobs, description='converting', console=Console(stderr=True))
        with stoppable():
            result = write_labels(progress, self.out, self.overwrite)
        drawn = mark_drawn(result.files, self.out)
        present = f', {result.present} were there already' if result.present else ''
        print(f'{self.out}: {result.written} label maps written{present}, {len(result.errors)} not converted')
        if drawn:
            print(f'the manifest says now of {drawn} edits that their labels are drawn')
        if result.clipped:
            first = next(iter(result.clipped))
            print(
                f'{sum(result.clipped.values())} shapes of {len(result.clipped)} label maps reach beyond the image and '
                f'were clipped, for one in {first}',
                file=sys.stderr,
            )
        if turned:
            from wtaseg.new.content import describe_turned

            print(describe_turned(turned))
        for message in result.errors:
            print(message, file=sys.stderr)
        return 1 if result.errors else 0

    def _fitted(self, jobs: 'list[LabelJob]') -> 'tuple[list[LabelJob], list[str]]':
        """``jobs`` fitted to the images, where those are given, and the names of those that will have been turned."""
        if self.images is None:
            if self.empty_label is not None:
                raise ValueError('--empty-label missing needs --images, the folder of the images')
            return jobs, []
        from wtaseg.new.content import fitted_jobs
        from wtaseg.new.images import find_images

        images = find_images([self.images])
        fitted, notices, turned = fitted_jobs(jobs, images, self.images, self.empty_label == 'missing')
        for notice in notices:
            print(notice)
        return fitted, turned


@command.command
def palette(source: Path, /, *, colour: Annotated[tuple[str, ...], MANY] = (), target: Target) -> int:
    """Colour or palette masks, by the colours of the dataset or by `--colour`.

    Example: `wta-seg convert palette MASKS --colour attached=255,0,0 broken=0,255,0 --out data/my_set/ann_dir/train`

    Parameters
    ----------
    source
        folder of masks
    colour
        colour of a class, CLASS=R,G,B
    """
    from wtaseg.labels.convert import palette_jobs

    return target.write(palette_jobs(source, target.class_table(), colour))


@command.command
def binary(*sources: Annotated[str, Parameter(required=True)], target: Target) -> int:
    """Masks of 0 and 255, one folder per class.

    Example: `wta-seg convert binary attached=MASKS_A broken=MASKS_B --out data/my_set/ann_dir/train`

    Parameters
    ----------
    sources
        CLASS=FOLDER; later classes overwrite earlier ones
    """
    from wtaseg.labels.convert import binary_jobs

    return target.write(binary_jobs(sources, target.class_table()))


@command.command
def values(source: Path, /, *, map: Annotated[tuple[str, ...], MANY], target: Target) -> int:
    """Masks of grey values, or ids of another numbering.

    Example: `wta-seg convert values MASKS --map 0=defect 128=attached 255=broken --out data/my_set/ann_dir/train`

    Parameters
    ----------
    source
        folder of masks
    map
        class of a grey value, VALUE=CLASS
    """
    from wtaseg.labels.convert import value_jobs

    return target.write(value_jobs(source, target.class_table(), map))


@command.command
def labelme(
    source: Path,
    /,
    *,
    map: Annotated[tuple[str, ...], MANY] = (),
    line_width: int | None = None,
    target: Target,
) -> int:
    """LabelMe JSON files.

    Example: `wta-seg convert labelme FOLDER --map scratch=broken --out data/my_set/ann_dir/train`

    Parameters
    ----------
    source
        folder of JSON files
    map
        class of another name, NAME=CLASS
    line_width
        width of line shapes in pixels [default: lines are refused]
    """
    from wtaseg.labels.convert import labelme_jobs

    return target.write(labelme_jobs(source, target.class_table(map), line_width))


@command.command
def coco(
    source: Path,
    /,
    *,
    map: Annotated[tuple[str, ...], MANY] = (),
    ignore_crowd: bool = False,
    target: Target,
) -> int:
    """A COCO JSON file, as CVAT exports it, or its ZIP.

    Example: `wta-seg convert coco instances_default.json --out data/my_set/ann_dir/train`

    Parameters
    ----------
    source
        JSON file or ZIP
    map
        class of another name, NAME=CLASS
    ignore_crowd
        annotations with iscrowd become 255 (CVAT sets it for its brush masks)
    """
    from wtaseg.labels.convert import coco_jobs

    return target.write(coco_jobs(source, target.class_table(map), ignore_crowd))


@command.command
def cvat(
    source: Path,
    /,
    *,
    map: Annotated[tuple[str, ...], MANY] = (),
    line_width: int | None = None,
    target: Target,
) -> int:
    """ "CVAT for images 1.1": its XML file, or the ZIP that CVAT exports.

    Example: `wta-seg convert cvat annotations.xml --out data/my_set/ann_dir/train`

    Parameters
    ----------
    source
        XML file or ZIP
    map
        class of another name, NAME=CLASS
    line_width
        width of polylines in pixels [default: polylines are refused]
    """
    from wtaseg.labels.convert import cvat_jobs

    return target.write(cvat_jobs(source, target.class_table(map), line_width))


command.command(to_coco)
command.command(to_labelme)


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/dataset_tools/convert_labels.py``."""
    return run(command, sys.argv[1:] if argv is None else list(argv), 'convert_labels')
