"""Which images a command line means, and what their results are called."""

import glob
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmseg.datasets.image_files import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Source:
    """An image file and the name of its results.

    Attributes:
        path: of the file.
        name: path below the folder that was given or that a pattern begins with, else the file's name.
        stem: the name without its ending; with it where another image has the same stem.
    """

    path: Path
    name: str
    stem: str


def find_images(arguments: Sequence[str]) -> list[Source]:
    """The images that files, folders (with all below them) and patterns stand for, each once, in their order.

    Raises:
        FileNotFoundError: an argument stands for no image.
        ValueError: two images would have results of one name.
    """
    names: dict[Path, str] = {}
    for argument in arguments:
        for path, name in _images_of(argument):
            names.setdefault(path.resolve(), name)
    stems = Counter(_stem(name) for name in names.values())
    by_stem: dict[str, Path] = {}
    sources = []
    for path, name in names.items():
        stem = _stem(name) if stems[_stem(name)] == 1 else name
        if stem in by_stem:
            raise ValueError(f'{by_stem[stem]} and {path} have one name; predict them into two folders')
        by_stem[stem] = path
        sources.append(Source(path, name, stem))
    return sources


def _stem(name: str) -> str:
    return Path(name).with_suffix('').as_posix()


def _images_of(argument: str) -> list[tuple[Path, str]]:
    path = Path(argument)
    if path.is_file():
        return [(path, path.name)]
    if path.is_dir():
        files, root = sorted(path.rglob('*')), path
    else:
        files = [Path(file) for file in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207  absolute patterns
        root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
    images = [(file, file.relative_to(root).as_posix()) for file in files]
    if not images:
        raise FileNotFoundError(
            f'{argument}: no image; expected files, folders or patterns of {" ".join(IMAGE_SUFFIXES)}'
        )
    return images
