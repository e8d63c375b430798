"""Class names and colours, and the ids they stand for."""

from collections.abc import Iterable

import numpy as np

#: Name and id of pixels that training and evaluation ignore.
IGNORE, IGNORE_ID = 'ignore', 255


class ConversionError(ValueError):
    """A file can not be converted; the message names file, value and remedy."""


def pairs(items: Iterable[str], option: str) -> dict[str, str]:
    """``['a=b', …]`` of the command line as ``{'a': 'b', …}``.

    Raises:
        ValueError: an item has no ``=``, or a name occurs twice; the message begins with ``option``.
    """
    values: dict[str, str] = {}
    for item in items:
        # split at the last '=': a name may contain one, an id or a colour does not
        name, mark, value = item.rpartition('=')
        if not mark or not name or not value:
            raise ValueError(f'{option} {item!r}: expected NAME=VALUE.')
        if name in values:
            raise ValueError(f'{option}: {name!r} is given twice.')
        values[name] = value
    return values


class ClassTable:
    """The classes of a dataset in the order of their ids.

    Args:
        names: class names.
        palette: one (R, G, B) per class, 0..255.
        renamed: names used in annotation files, ``{name: class name, id as text, or 'ignore'}``.

    Raises:
        ValueError: ``renamed`` maps to a class that does not exist.
    """

    def __init__(self, names: Iterable[str], palette: Iterable = (), renamed: dict[str, str] | None = None):
        self.names = tuple(names)
        self.palette = [tuple(int(v) for v in colour) for colour in palette]
        self.renamed = {name: self.id_of(target) for name, target in (renamed or {}).items()}

    def id_of(self, target: str) -> int:
        """The id of a class name, of an id as text, or of ``'ignore'``.

        Raises:
            ValueError: there is no such class.
        """
        if target in self.names:
            return self.names.index(target)
        if target == IGNORE or target == str(IGNORE_ID):
            return IGNORE_ID
        if target.isdigit() and int(target) < len(self.names):
            return int(target)
        raise ValueError(
            f'{target!r} is no class. Choose one of {", ".join(self.names)}, an id 0..{len(self.names) - 1}, '
            f'or {IGNORE!r}; other class names are set with --classes.'
        )

    def knows(self, label: str) -> bool:
        """Whether a class name of an annotation file is a class, or renamed to one."""
        return label in self.renamed or label in self.names or label == IGNORE

    def id_of_label(self, label: str, file: str) -> int:
        """The id of a class name in an annotation file; 255 for ``ignore``, as exports name ignored pixels.

        Raises:
            ConversionError: the name is neither a class nor renamed to one; the message names ``file``.
        """
        if label in self.renamed:
            return self.renamed[label]
        if label in self.names:
            return self.names.index(label)
        if label == IGNORE:
            return IGNORE_ID
        raise ConversionError(
            f'{file}: unknown class name {label!r}, expected {", ".join(self.names)}. '
            f'List your own classes with --classes, the normal one first; or say which class it is: '
            f'--map {label!r}=<class>, or --map {label!r}={IGNORE}.'
        )

    def colours(self, given: dict[str, str]) -> dict[int, int]:
        """Colour to id, the colour packed as R << 16 | G << 8 | B.

        Args:
            given: ``{class: 'R,G,B'}``, in place of the class's colour in the palette.

        Raises:
            ValueError: a colour is malformed, or stands for two classes.
        """
        entries = [(i, colour) for i, colour in enumerate(self.palette) if self.names[i] not in given]
        entries += [(self.id_of(name), _colour(text)) for name, text in given.items()]
        table: dict[int, int] = {}
        for value, colour in entries:
            packed = int(pack(np.array(colour)))
            if table.setdefault(packed, value) != value:
                raise ValueError(f'colour {colour} stands for two classes; give each its own with --colour.')
        return table


def pack(rgb: np.ndarray) -> np.ndarray:
    """Pack RGB colours ``(..., 3)`` into one number each, R << 16 | G << 8 | B."""
    rgb = rgb.astype(np.int32)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def unpack(packed: int) -> str:
    """A packed colour as ``R,G,B``."""
    return f'{packed >> 16},{packed >> 8 & 255},{packed & 255}'


def _colour(text: str) -> tuple[int, ...]:
    parts = text.split(',')
    if len(parts) != 3 or not all(p.strip().isdigit() and int(p) < 256 for p in parts):
        raise ValueError(f'--colour {text!r}: expected R,G,B with numbers 0..255.')
    return tuple(int(p) for p in parts)
