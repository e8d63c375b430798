"""The classes of a dataset with their colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wtaseg.labels.convert import dataset_classes
from wtaseg.labels.record import read_settings
from wtaseg.new.configs import palette
from wtaseg.palette import Color, class_colors
from wtaseg.report.summary import NORMAL

DEFAULT_DATASET = 'WTADataset'


@dataclass(frozen=True)
class Classes:
    """Names and RGB colours by class id; id 0 is the normal class."""

    names: tuple[str, ...]
    colors: tuple[Color, ...]


def classes_of(root: Path, names: Sequence[str] = (), dataset: str | None = None) -> Classes:
    """The classes of the dataset in ``root``.

    Args:
        root: folder of the dataset.
        names: class names in the order of their ids, in place of all others.
        dataset: registry name of a dataset class with METAINFO. Default: what ``wta-seg new`` has recorded in
            ``root``, else WTADataset.

    Raises:
        ValueError: fewer than two names, or ``dataset`` is not registered.
    """
    if not names and dataset is None:
        names = read_settings(root).get('classes', ())
    if names:
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(
                f'--classes {" ".join(names)}: expected at least two different names, the normal one first'
            )
        return Classes(tuple(names), tuple(tuple(color) for color in palette(len(names))))
    table = dataset_classes(dataset or DEFAULT_DATASET)
    # tables of the project, too, call class 0 the normal one, whatever METAINFO does
    return Classes((NORMAL, *table.names[1:]), class_colors(len(table.names), table.palette))
