"""Reading and checking the dataset to augment.

Layout: ``img_dir/<split>/NAME.png`` with ``ann_dir/<split>/NAME.png``, labels being 8-bit index PNGs (0 normal, 255
ignored, anything between a defect). Images may also be JPEG, BMP, TIFF or WebP, see :mod:`augment.dataset.decoding`. An
edit is ``NAME__<word>.png`` beside its original. A label belongs to the upright image; one that fits only the image as
stored, before its EXIF rotation, is turned with it, also in the augmented dataset.
"""

import hashlib
import io
import json
import logging
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from augment.config import slug
from augment.dataset.decoding import IMAGE_SUFFIXES, decode_image, open_image, orientation_of, turn_upright
from augment.dataset.packed import PackedArray
from augment.files import copy_file, is_hidden, write_bytes

IMAGES, LABELS = 'img_dir', 'ann_dir'
#: Images of ``wta-seg new --normal-images``, which have no labels and are copied.
NORMAL_IMAGES = 'normal_dir'
NORMAL, IGNORED = 0, 255
#: Record of a dataset made by ``wta-seg new``; ``settings.value_range`` is what training scales deep images from.
RECORD = 'dataset.json'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """One image with its label, decoded once; ``problem`` says why it cannot be used, empty when it can.

    ``turned_label`` is the content of the label file where the label was turned with its image, else empty;
    ``label_sha256`` then is that of this content. ``value_range`` is (low, high) of images of more than 8 bits.
    """

    name: str
    image: Path
    label: Path
    image_sha256: str
    label_sha256: str | None
    problem: str = ''
    packed_label: PackedArray | None = None
    turned_label: bytes = b''
    value_range: tuple[float, float] | None = None

    @property
    def source_name(self) -> str:
        """Name of the image file that ``pixels`` are made from."""
        return self.name

    def pixels(self) -> np.ndarray:
        """The upright image ``(H, W, 3)`` uint8 RGB."""
        return decode_image(self.image.read_bytes(), self.value_range)

    def pixels_id(self) -> str:
        """A text that changes whenever the pixels may: SHA-256 of the file, and the range it is scaled from."""
        if self.value_range is None:
            return self.image_sha256
        return f'{self.image_sha256} {self.value_range[0]:g}..{self.value_range[1]:g}'

    def write_label(self, target: Path) -> None:
        """Write the label of the upright image to ``target``."""
        if self.turned_label:
            write_bytes(target, self.turned_label)
        else:
            copy_file(self.label, target)

    def class_ids(self) -> np.ndarray:
        """The label ``(H, W)`` uint8 of a sample without problem."""
        assert self.packed_label is not None
        return self.packed_label.array()


@dataclass(frozen=True)
class Dataset:
    """The samples of the edited split, and every file of the other ones and of ``normal_dir``, all sorted by name."""

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
    paths = sorted(p for p in folder.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES and is_data(p, folder))
    if not paths:
        others = sorted({p.suffix for p in folder.rglob('*') if is_data(p, folder)})
        content = f'only {", ".join(others)} files' if others else 'no file'
        raise FileNotFoundError(
            f'no images: {folder} holds {content}; expected {" ".join(IMAGE_SUFFIXES)}, convert them first'
        )
    refuse_shared_stems(paths)
    value_range = recorded_range(root)
    samples = [read_sample(root, split, path, value_range) for path in paths]
    turned = [sample.name for sample in samples if sample.turned_label]
    if turned:
        logger.warning(
            f'{len(turned)} labels fit their image only before its EXIF rotation and are turned with it: {turned[0]}'
        )
    refuse_collisions(samples, words, folder)
    untouched = [
        p
        for kind in (IMAGES, LABELS)
        for p in sorted((root / kind).rglob('*'))
        if is_data(p, root / kind) and p.relative_to(root / kind).parts[0] != split
    ]
    normal = root / NORMAL_IMAGES
    untouched += [path for path in sorted(normal.rglob('*')) if is_data(path, normal)]
    return Dataset(root, split, samples, untouched)


def is_data(path: Path, root: Path) -> bool:
    """Whether ``path`` below ``root`` is a file of the dataset: no folder, pipe, hidden or temporary file."""
    return path.is_file() and not is_hidden(path, root)


def refuse_shared_stems(paths: Iterable[Path]) -> None:
    """Raises ``ValueError`` when two images differ only in their ending, and so share one label."""
    by_stem: dict[Path, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.with_suffix(''), path)
        if other != path:
            raise ValueError(
                f'{other} and {path} have the same stem, so they share one label; rename or remove one'
            )


def recorded_range(root: Path) -> tuple[float, float] | None:
    """The range from which training scales images of more than 8 bits; None where the dataset records none.

    Raises ``ValueError`` when the record is damaged, or the dataset is for training on all channels of its files.
    """
    path = root / RECORD
    if not path.is_file():
        return None
    try:
        settings = json.loads(path.read_text(encoding='utf-8')).get('settings', {})
        value, all_channels = settings.get('value_range'), settings.get('all_channels')
        value_range = None if value is None else (float(value[0]), float(value[1]))
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f'{path} is no record of a dataset ({error}); make the dataset again') from None
    if all_channels:
        raise ValueError(
            f'{path}: the dataset is for training on all channels of its files (--all-channels), but Stable Diffusion '
            'edits three colours, so its edits would not fit the other images; make the dataset without --all-channels'
        )
    return value_range


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
    refuse_taken_names(by_name, by_name, words, folder)


def refuse_taken_names(
    names: Container[str], sources: Iterable[str], words: Iterable[str], folder: Path
) -> None:
    """Raises ``ValueError`` when the edit of one of ``sources`` with one of ``words`` has one of the ``names`` in ``folder``."""
    words = list(words)
    for name in sources:
        for word in words:
            if edit_name(name, word) in names:
                raise ValueError(
                    f'{folder / edit_name(name, word)}.png has the name that the edit of {name}.png with {word!r} would '
                    'take; augment the original dataset, not an augmented one, or rename the file'
                )


def read_sample(root: Path, split: str, path: Path, value_range: tuple[float, float] | None = None) -> Sample:
    """One image with its label; what is wrong with the files goes to ``problem``, never into an exception."""
    name = path.relative_to(root / IMAGES / split).with_suffix('').as_posix()
    label = root / LABELS / split / f'{name}.png'
    image = path.read_bytes()
    digest = hashlib.sha256(image).hexdigest()
    try:
        size = decode_image(image, value_range).shape[:2]
    except ValueError as error:
        return Sample(name, path, label, digest, None, f'image {path}: {error}')
    if not label.is_file():
        return Sample(name, path, label, digest, None, f'label missing: {label} does not exist')
    content = label.read_bytes()
    label_digest = hashlib.sha256(content).hexdigest()
    turned = b''
    try:
        class_ids = decode_label(content)
        upright = upright_label(class_ids, size, orientation_of(image))
        if upright is not class_ids:
            class_ids, turned = upright, encode_label(upright)
            label_digest = hashlib.sha256(turned).hexdigest()
        check_label(class_ids, size)
    except ValueError as error:
        return Sample(name, path, label, digest, label_digest, f'label {label}: {error}')
    packed = PackedArray.pack(class_ids)
    return Sample(name, path, label, digest, label_digest, '', packed, turned, value_range)


def upright_label(label: np.ndarray, size: tuple[int, int], orientation: int) -> np.ndarray:
    """``label`` turned as its image is, if only then it has the image's ``size`` (H, W); else ``label`` itself."""
    if orientation > 4 and label.shape != size and label.shape == size[::-1]:
        return turn_upright(label, orientation)
    return label


def encode_label(label: np.ndarray) -> bytes:
    """A label ``(H, W)`` uint8 as the content of an index PNG."""
    buffer = io.BytesIO()
    Image.fromarray(label).save(buffer, format='PNG')
    return buffer.getvalue()


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


def source_file(split: str, sample: Sample) -> str:
    """Path of the image of ``sample`` relative to the dataset's root."""
    return f'{IMAGES}/{split}/{sample.source_name}{sample.image.suffix}'


def image_file(split: str, name: str) -> str:
    """Path of an edit relative to the dataset's root."""
    return f'{IMAGES}/{split}/{name}.png'


def label_file(split: str, name: str) -> str:
    """Path of a label relative to the dataset's root."""
    return f'{LABELS}/{split}/{name}.png'
