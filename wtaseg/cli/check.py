"""``wta-seg check``, also ``python tools/dataset_tools/check_dataset.py``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from wtaseg.cli import MANY, run_alone, stoppable


def command(
    root: Path,
    /,
    *,
    classes: Annotated[tuple[str, ...], MANY] = (),
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    img_suffix: str | None = None,
    seg_map_suffix: str = '.png',
    workers: int | None = None,
    value_range: tuple[float, float] | None = None,
) -> int:
    """Check a dataset in the img_dir/ann_dir layout and print the share of each class per split.

    Example: ``wta-seg check data/wta_512``

    Every file with a problem is named together with the remedy; the exit status then is 1.

    Parameters
    ----------
    root
        folder with img_dir and ann_dir
    classes
        names of the classes in the order of their ids [default: those of wta-seg new, else normal attached broken]
    ignore_index
        id of pixels that are ignored
    reduce_zero_label
        label files hold 0 for ignored pixels and classes from 1
    img_suffix
        ending of image files [default: jpg, png, bmp, tif, webp in any case]
    seg_map_suffix
        ending of label files
    workers
        processes [default: one per processor for large datasets]
    value_range
        LOW HIGH: what training makes black and white in images of more than 8 bits
    """
    from wtaseg.labels.check import check, describe

    with stoppable():
        report = check(
            root, classes, ignore_index, reduce_zero_label, img_suffix, seg_map_suffix, workers, value_range
        )
    print(describe(report))
    return 0 if report.ok else 1


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/dataset_tools/check_dataset.py``."""
    return run_alone(command, argv, 'check_dataset')
