"""Reading the dataset to augment and writing the augmented one.

Layout on both sides: ``img_dir/<split>/NAME.png`` with ``ann_dir/<split>/NAME.png``, labels being 8-bit index PNGs
(0 normal, 255 ignored, anything between a defect). An edit is ``NAME__<word>.png`` beside its original.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from augment.config import slug
from augment.files import copy_file

IMAGES, LABELS = 'img_dir', 'ann_dir'
NORMAL, IGNORED = 0, 255
COLOUR_MODES = ('RGB', 'L', 'P', 'RGBA')


@dataclass(frozen=True)
class Sample:
    """One labelled picture; ``problem`` says why it cannot be used, empty when it can."""

    name: str
    image: Path
    label: Path
    image_sha256: str
    label_sha256: str | None
    problem: str = ''


@dataclass(frozen=True)
class Dataset:
    """The samples of the edited split and every file of the other ones, all sorted by name."""

    root: Path
    split: str
    samples: list[Sample]
    untouched: list[Path]


def read_dataset(root: Path, split: str, words: Iterable[str]) -> Dataset:
    """Read and check ``root``; pictures that cannot be used carry their ``problem``.

    Raises ``FileNotFoundError`` when the split or its pictures are missing, and ``ValueError`` when edits would
    take the names of pictures that are there already.
    """
    folder = root / IMAGES / split
    if not folder.is_dir():
        found = ', '.join(p.name for p in sorted((root / IMAGES).glob('*')) if p.is_dir()) or 'nothing'
        raise FileNotFoundError(
            f'{folder} does not exist ({root / IMAGES} holds {found}); check --data and --split'
        )
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() == '.png' and p.is_file())
    if not paths:
        others = sorted({p.suffix for p in folder.rglob('*') if p.is_file()})
        held = f'only {", ".join(others)} files' if others else 'no file'
        raise FileNotFoundError(
            f'no images: {folder} holds {held}; expected PNG pictures, convert them first'
        )
    samples = [read_sample(root, split, path) for path in paths]
    refuse_collisions(samples, words, folder)
    untouched = [
        p
        for kind in (IMAGES, LABELS)
        for p in sorted((root / kind).rglob('*'))
        if p.is_file() and p.relative_to(root / kind).parts[0] != split
    ]
    return Dataset(root, split, samples, untouched)


def refuse_collisions(samples: list[Sample], words: Iterable[str], folder: Path) -> None:
    """Raises ``ValueError`` when an edit's name is the name of a picture in ``folder``."""
    names = {s.name for s in samples}
    for word in words:
        for sample in samples:
            if edit_name(sample.name, word) in names:
                raise ValueError(
                    f'{folder / edit_name(sample.name, word)}.png has the name that the edit of {sample.name}.png with '
                    f'{word!r} would take; augment the original dataset, not an augmented one, or rename the file'
                )


def read_sample(root: Path, split: str, path: Path) -> Sample:
    """One picture with its label; defects of the files end in ``problem``, never in an exception."""
    name = path.relative_to(root / IMAGES / split).with_suffix('').as_posix()
    label = root / LABELS / split / f'{name}.png'
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    label_digest = None
    try:
        size = decode_image(content).shape[:2]
    except ValueError as error:
        return Sample(name, path, label, digest, None, f'image {path}: {error}')
    if not label.is_file():
        return Sample(name, path, label, digest, None, f'label missing: {label} does not exist')
    content = label.read_bytes()
    label_digest = hashlib.sha256(content).hexdigest()
    problem = ''
    try:
        check_label(decode_label(content), size)
    except ValueError as error:
        problem = f'label {label}: {error}'
    return Sample(name, path, label, digest, label_digest, problem)


def open_picture(content: bytes) -> Image.Image:
    """The decoded picture; ``ValueError`` when the bytes are none or are cut short."""
    try:
        picture = Image.open(io.BytesIO(content))
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f'cannot be decoded ({error}); replace the file') from error
    return picture


def decode_image(content: bytes) -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 RGB; grey and palette pictures are converted, transparency is dropped.

    Raises ``ValueError`` for bytes that are no picture and for more than 8 bits a channel.
    """
    picture = open_picture(content)
    if picture.mode not in COLOUR_MODES:
        raise ValueError(f'has mode {picture.mode}; expected 8-bit RGB or grey, convert the file')
    return np.array(picture.convert('RGB'))


def decode_label(content: bytes) -> np.ndarray:
    """Class ids ``(H, W)`` uint8; ``ValueError`` unless the file is an 8-bit index PNG."""
    picture = open_picture(content)
    if picture.mode not in ('L', 'P'):
        raise ValueError(
            f'has mode {picture.mode}; expected an 8-bit index PNG (0 normal, 1, 2, ..., 255 ignored)'
        )
    return np.array(picture)


def check_label(label: np.ndarray, size: tuple[int, int]) -> None:
    """Raises ``ValueError`` when ``label`` is not as high and wide as its picture, ``size = (H, W)``."""
    if label.shape != tuple(size):
        raise ValueError(
            f'is {label.shape[1]}x{label.shape[0]} pixels, the image {size[1]}x{size[0]}; label the image at its size'
        )


def defect_mask(label: np.ndarray) -> np.ndarray:
    """Where ``label`` ``(H, W)`` names a defect: bool ``(H, W)``; ignored pixels are none."""
    return (label != NORMAL) & (label != IGNORED)


def edit_name(name: str, word: str) -> str:
    """Name of the edit of picture ``name`` with ``word``, without suffix."""
    return f'{name}__{slug(word)}'


def image_file(split: str, name: str) -> str:
    """Path of a picture relative to the dataset's root."""
    return f'{IMAGES}/{split}/{name}.png'


def label_file(split: str, name: str) -> str:
    """Path of a label relative to the dataset's root."""
    return f'{LABELS}/{split}/{name}.png'


def copy_originals(data: Dataset, out: Path, rank: int = 0, world: int = 1) -> None:
    """Copy this process's share of the other splits and of the usable originals, byte for byte."""
    pairs = [(path, path.relative_to(data.root).as_posix()) for path in data.untouched]
    for sample in data.samples:
        if not sample.problem:
            pairs.append((sample.image, image_file(data.split, sample.name)))
            pairs.append((sample.label, label_file(data.split, sample.name)))
    for source, target in pairs[rank::world]:
        copy_file(source, out / target)
