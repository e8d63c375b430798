"""The table of the public data sets, ``public_datasets.toml``."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_suffix('.toml')

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class PublicDataset:
    """One public data set.

    Attributes:
        name: of its dataset class, ``CityscapesDataset``.
        classes: names in the order of the label ids.
        palette: one colour (red, green, blue; 0 to 255) per class.
        aliases: names for ``get_classes``.
        img_suffix: ending of the image files.
        seg_map_suffix: ending of the label files.
        reduce_zero_label: the labels 1, 2, … become 0, 1, … and 0 is ignored.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    aliases: tuple[str, ...] = ()
    img_suffix: str = '.jpg'
    seg_map_suffix: str = '.png'
    reduce_zero_label: bool = False


@cache
def public_datasets() -> dict[str, PublicDataset]:
    """All public data sets by the name of their class."""
    table = tomllib.loads(TABLE.read_text(encoding='utf-8'))
    return {name: _entry(name, dict(row), table) for name, row in table.items()}


def _entry(name: str, row: dict, table: dict) -> PublicDataset:
    classes = row.pop('classes', None) or table[row['like']]['classes']
    row.pop('like', None)
    names, colours = zip(*(line.rsplit(' ', 1) for line in classes))
    aliases = tuple(row.pop('aliases', ()))
    return PublicDataset(
        name, names, tuple(tuple(bytes.fromhex(colour)) for colour in colours), aliases, **row
    )
