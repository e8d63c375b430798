"""Reading and checking the dataset to augment.

Layout: ``img_dir/<split>/NAME.png`` with ``ann_dir/<split>/NAME.png``, labels being 8-bit index PNGs (0 normal, 255
ignored, anything between a defect). An edit is ``NAME__<word>.png`` beside its original.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from augment.config import slug
from augment.dataset.packed import PackedArray
from augment.files import is_hidden

IMAGES, LABELS = 'img_dir', 'ann_dir'
NORMAL, IGNORED = 0, 255
COLOUR_MODES = ('RGB', 'L', 'P', 'RGBA')


@dataclass(frozen=True)
class Sample:
    """One image with its label, decoded once; ``problem`` says why it cannot be used, empty when it can."""

    name: str
    image: Path
    label: Path
    image_sha256: str
    label_sha256: str | None
    problem: str = ''
    packed_label: PackedArray | None = None

    def class_ids(self) -> np.ndarray:
        """The label ``(H, W)`` uint8 of a sample without problem."""
        assert self.packed_label is not None
        return self.packed_label.array()


@dataclass(frozen=True)
class Dataset:
    """The samples of the edited split and every file of the other ones, all sorted by name."""

    root: Path
    split: str
    samples: list[Sample]
    untouched: list[Path]


def read_dataset(root: Path, split: str, words: Iterable[str]) -> Dataset:
    """Read and check ``root``; images that cannot be used carry their ``problem``.

    Raises:
        FileNotFoundError: The split or its images are missing.
        ValueError: Edits would take the names of images that exist already.
    """
    folder = root / IMAGES / split
    if not folder.is_dir():
        splits = ', '.join(p.name for p in sorted((root / IMAGES).glob('*')) if p.is_dir()) or 'nothing'
        raise FileNotFoundError(
            f'{folder} does not exist ({root / IMAGES} holds {splits}); check --data and --split'
        )
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() == '.png' and is_data(p, folder))
    if not paths:
        others = sorted({p.suffix for p in folder.rglob('*') if is_data(p, folder)})
        content = f'only {", ".join(others)} files' if others else 'no file'
        raise FileNotFoundError(
            f'no images: {folder} holds {content}; expected PNG images, convert them first'
        )
    samples = [read_sample(root, split, path) for path in paths]
    refuse_collisions(samples, words, folder)
    untouched = [
        p
        for kind in (IMAGES, LABELS)
        for p in sorted((root / kind).rglob('*'))
        if is_data(p, root / kind) and p.relative_to(root / kind).parts[0] != split
    ]
    return Dataset(root, split, samples, untouched)


def is_data(path: Path, root: Path) -> bool:
    """Whether ``path`` below ``root`` is a file of the dataset: no folder, pipe, hidden or temporary file."""
    return path.is_file() and not is_hidden(path, root)


def refuse_collisions(samples: list[Sample], words: Iterable[str], folder: Path) -> None:
    """Raises ``ValueError`` when two images, or an image and an edit, would have one name in the output."""
    by_name: dict[str, Path] = {}
    for sample in samples:
        if sample.name in by_name:
            raise ValueError(
                f'{by_name[sample.name]} and {sample.image} would both be written as {sample.name}.png, and share one '
                'label; rename or remove one'
            )
        by_name[sample.name] = sample.image
    names = by_name.keys()
    for word in words:
        for sample in samples:
            if edit_name(sample.name, word) in names:
                raise ValueError(
                    f'{folder / edit_name(sample.name, word)}.png has the name that the edit of {sample.name}.png with '
                    f'{word!r} would take; augment the original dataset, not an augmented one, or rename the file'
                )


def read_sample(root: Path, split: str, path: Path) -> Sample:
    """One image with its label; what is wrong with the files goes to ``problem``, never into an exception."""
    name = path.relative_to(root / IMAGES / split).with_suffix('').as_posix()
    label = root / LABELS / split / f'{name}.png'
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    try:
        size = decode_image(content).shape[:2]
    except ValueError as error:
        return Sample(name, path, label, digest, None, f'image {path}: {error}')
    if not label.is_file():
        return Sample(name, path, label, digest, None, f'label missing: {label} does not exist')
    content = label.read_bytes()
    label_digest = hashlib.sha256(content).hexdigest()
    try:
        class_ids = decode_label(content)
        check_label(class_ids, size)
    except ValueError as error:
        return Sample(name, path, label, digest, label_digest, f'label {label}: {error}')
    return Sample(name, path, label, digest, label_digest, packed_label=PackedArray.pack(class_ids))


def open_image(content: bytes) -> Image.Image:
    """The decoded image; ``ValueError`` when the bytes are no image or are truncated."""
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'cannot be decoded ({error}); replace the file') from error
    return image


def decode_image(content: bytes) -> np.ndarray:
    """Pixels ``(H, W, 3)`` uint8 RGB; grey and palette images are converted, transparency is dropped.

    Raises ``ValueError`` for bytes that are no image and for more than 8 bits a channel.
    """
    image = open_image(content)
    if image.mode not in COLOUR_MODES:
        raise ValueError(f'has mode {image.mode}; expected 8-bit RGB or grey, convert the file')
    return np.array(image.convert('RGB'))


def decode_label(content: bytes) -> np.ndarray:
    """Class ids ``(H, W)`` uint8; ``ValueError`` unless the file is an 8-bit index PNG."""
    image = open_image(content)
    if image.mode not in ('L', 'P'):
        raise ValueError(
            f'has mode {image.mode}; expected an 8-bit index PNG (0 normal, 1, 2, ..., 255 ignored)'
        )
    return np.array(image)


def check_label(label: np.ndarray, size: tuple[int, int]) -> None:
    """Raises ``ValueError`` when ``label`` is not of the size of its image, ``size = (H, W)``."""
    if label.shape != tuple(size):
        raise ValueError(
            f'is {label.shape[1]}x{label.shape[0]} pixels, the image {size[1]}x{size[0]}; label the image at its size'
        )


def defect_mask(label: np.ndarray) -> np.ndarray:
    """Where ``label`` ``(H, W)`` has a defect: bool ``(H, W)``; ignored pixels count as normal."""
    return (label != NORMAL) & (label != IGNORED)


def edit_name(name: str, word: str) -> str:
    """Name of the edit of image ``name`` with ``word``, without suffix."""
    return f'{name}__{slug(word)}'


def image_file(split: str, name: str) -> str:
    """Path of an image relative to the dataset's root."""
    return f'{IMAGES}/{split}/{name}.png'


def label_file(split: str, name: str) -> str:
    """Path of a label relative to the dataset's root."""
    return f'{LABELS}/{split}/{name}.png'
