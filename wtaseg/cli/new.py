"""``wta-seg new``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wtaseg.cli import MANY
from wtaseg.cli.split import SplitOptions


@Parameter(name='*')
@dataclass(frozen=True)
class NormalOptions:
    """Images that need no labels.

    Parameters
    ----------
    normal_images
        folders of images without defects, which need no labels; they are used in training alone
    normal_share
        largest share of them in the training images
    """

    normal_images: Annotated[tuple[Path, ...], MANY] = ()
    normal_share: float = 0.5


def command(
    name: str,
    /,
    *,
    images: Annotated[tuple[Path, ...], MANY],
    labels: Annotated[tuple[Path, ...], MANY],
    classes: Annotated[tuple[str, ...], MANY],
    map: Annotated[tuple[str, ...], MANY] = (),
    colour: Annotated[tuple[str, ...], MANY] = (),
    line_width: int | None = None,
    empty_label: Literal['missing'] | None = None,
    value_range: Annotated[tuple[float, float] | None, Parameter(show_default=False)] = None,
    all_channels: bool = False,
    configs: Path | None = None,
    normals: NormalOptions = NormalOptions(),
    splitting: SplitOptions = SplitOptions(),  # noqa: B008  immutable
) -> int:
    """Make a dataset and three experiments from your images and labels.

    Example: ``wta-seg new my_parts --images PHOTOS --labels LABELS --classes normal scratch dent rust burr``

    Looks at images and labels, converts the labels, splits by class content, writes data/NAME and its configs, and prints
    the next command. The images and labels are only read. Run it again to continue after an interruption.

    Parameters
    ----------
    name
        name of the dataset: data/NAME
    images
        folders of images (jpg, png, bmp, tif, webp), or single files
    labels
        folders of LabelMe JSON or masks; files or ZIPs of CVAT ("CVAT for images 1.1", "COCO 1.0"); several formats
        may be mixed
    classes
        names of the classes, the normal one first
    map
        class of another name or of a grey value in the labels: NAME=CLASS, VALUE=CLASS; NAME=ignore
    colour
        class of a colour in colour masks: CLASS=R,G,B
    line_width
        width of LabelMe's lines in pixels [default: lines are refused]
    empty_label
        missing: images without a label have no defects
    value_range
        LOW HIGH: what becomes black and white in images of more than 8 bits [default: from the bits in use]
    all_channels
        train on all channels of the files, not on colour
    configs
        folder for the configs [default: configs]
    """
    from wtaseg.new.new import NewDataset, create
    from wtaseg.new.sources import LabelOptions

    options = LabelOptions(classes, map, colour, line_width)
    missing = empty_label == 'missing'
    how = (splitting.parse(), missing, value_range, all_channels, configs)
    return create(
        NewDataset(name, images, labels, options, *how, normals.normal_images, normals.normal_share)
    )
