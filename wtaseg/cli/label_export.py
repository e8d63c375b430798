"""``wta-seg convert to-coco`` and ``to-labelme``: label maps for annotation programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wtaseg.cli import MANY, stoppable


@Parameter(name='*')
@dataclass(frozen=True)
class Source:
    """The label maps to export.

    Parameters
    ----------
    split
        train, val or test
    edits_only
        only the accepted edits of an augmented dataset
    shapes
        mask: exact in every program; polygon: easier to edit by hand, regions with holes stay masks
    classes
        class names in the order of their ids [default: those of wta-seg new, else those of --dataset]
    dataset
        dataset class whose METAINFO has class names [default: WTADataset]
    """

    split: str = 'train'
    edits_only: Annotated[bool, Parameter(negative=())] = False
    shapes: Literal['mask', 'polygon'] = 'mask'
    classes: Annotated[tuple[str, ...], MANY] = ()
    dataset: str | None = None

    def export(self, program: str, root: Path, out: Path) -> int:
        """Export the label maps of the dataset in ``root`` to ``out``."""
        from rich.console import Console
        from rich.progress import track

        from wtaseg.labels.export import EXPORTS, find_labels
        from wtaseg.review.classes import classes_of

        names = classes_of(root, self.classes, self.dataset).names
        files = find_labels(root, self.split, self.edits_only)
        progress = track(files, description='exporting', console=Console(stderr=True), transient=True)
        with stoppable():
            images, regions = EXPORTS[program](progress, names, out, self.shapes)
        print(f'{out}: {regions} regions of {images} images')
        return 0


def to_coco(root: Path, /, *, out: Path, source: Source = Source()) -> int:
    """Label maps to a COCO JSON file, for CVAT ("COCO 1.0") and other programs.

    Example: `wta-seg convert to-coco data/my_set --split train --out instances.json`

    Parameters
    ----------
    root
        dataset with img_dir and ann_dir
    out
        JSON file
    """
    return source.export('coco', root, out)


def to_labelme(root: Path, /, *, out: Path, source: Source = Source()) -> int:
    """Label maps to LabelMe JSON files, one for each image.

    Example: `wta-seg convert to-labelme data/my_set --split train --out my_set_labelme`

    Parameters
    ----------
    root
        dataset with img_dir and ann_dir
    out
        folder
    """
    return source.export('labelme', root, out)
