"""The images to make a dataset of."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmseg.datasets.image_files import IMAGE_SUFFIXES, ImageHeader, match_images, read_header


@dataclass(frozen=True)
class SourceImage:
    """One image.

    Attributes:
        name: path below its folder without ending, in composed Unicode (macOS stores Hangul decomposed).
        path: of the file.
        header: size, orientation, bits and channels.
    """

    name: str
    path: Path
    header: ImageHeader


def normalized(name: str) -> str:
    """A name in composed Unicode (NFC), by which images and labels are matched."""
    return unicodedata.normalize('NFC', name)


def find_images(sources: Sequence[Path], flag: str = '--images') -> dict[str, SourceImage]:
    """The images in folders and of single files, by name; ``flag`` named them.

    Raises:
        FileNotFoundError: a source does not exist, or there is no image.
        ValueError: two images have one name, or an image can not be read.
    """
    images: dict[str, SourceImage] = {}
    for source in sources:
        for name, path in _files(source, flag):
            if name in images:
                raise ValueError(
                    f'{images[name].path} and {path} have the same name {name!r}, so they would share one label '
                    'map: rename or remove one'
                )
            images[name] = SourceImage(name, path, _header(path))
    if not images:
        raise FileNotFoundError(
            f'{flag} {" ".join(map(str, sources))}: no image ({" ".join(IMAGE_SUFFIXES)}, in any case)'
        )
    return dict(sorted(images.items()))


def _files(source: Path, flag: str) -> Iterable[tuple[str, Path]]:
    if source.is_file():
        return [(normalized(stem), source) for stem in match_images([source.name])]
    if not source.is_dir():
        raise FileNotFoundError(f'{flag} {source}: no such folder or file')
    names = (
        path.relative_to(source).as_posix()
        for path in source.rglob('*')
        if path.is_file() and not path.name.startswith('.')
    )
    try:
        matched = match_images(names)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    return [(normalized(stem), source / name) for stem, name in matched.items()]


def _header(path: Path) -> ImageHeader:
    try:
        return read_header(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f'{path}: can not be read as an image ({error}); replace or remove it') from None


def describe_images(images: Iterable[SourceImage]) -> list[str]:
    """Lines on number, sizes, depth, channels and rotation of the images."""
    images = list(images)
    headers = [image.header for image in images]
    endings = Counter(image.path.suffix.lower() for image in images)
    sizes = Counter(head.size for head in headers)
    lines = [
        f'images    {len(images)}: '
        + ', '.join(f'{count} {ending}' for ending, count in endings.most_common()),
        'size      ' + _counted({f'{w} x {h}': count for (w, h), count in sizes.items()}),
        'depth     ' + _counted({f'{bits} bits': n for bits, n in Counter(h.bits for h in headers).items()}),
        'channels  ' + _counted(Counter(_channels(head) for head in headers)),
    ]
    turned = sum(head.orientation != 1 for head in headers)
    if turned:
        lines.append(f'rotation  {turned} images have an EXIF orientation; they are read upright')
    paged = sum(head.pages > 1 for head in headers)
    if paged:
        lines.append(f'pages     {paged} TIFFs have several pages, of which only the first is read')
    return lines


def _channels(head: ImageHeader) -> str:
    names = {'L': 'grey', '1': 'grey', 'RGB': 'colour', 'RGBA': 'colour with transparency', 'P': 'palette'}
    return names.get(head.mode, 'grey' if head.channels == 1 else f'{head.channels} ({head.mode})')


def _counted(counts: dict[str, int], most: int = 4) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f', {len(ordered) - most} others' if len(ordered) > most else ''
    return ', '.join(f'{name} ({count})' for name, count in ordered[:most]) + more
