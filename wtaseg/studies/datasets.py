"""The datasets of the studies: where augmented ones are, and which of their images the study ratio takes."""

import hashlib
import math
from pathlib import Path

from wtaseg.io import write
from wtaseg.studies.provenance import program

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp')


def image_names(root: Path, split: str = 'train') -> list[str]:
    """Names of a split's images, below its folder and without suffix, sorted."""
    folder = root / 'img_dir' / split
    images = (path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)
    return sorted(path.relative_to(folder).with_suffix('').as_posix() for path in images)


def check_dataset(root: Path, description: str, remedy: str = '') -> None:
    """Check that a dataset has training images and their labels.

    Args:
        root: the dataset.
        description: of the dataset, for the message.
        remedy: last sentence of the message.

    Raises:
        FileNotFoundError: a folder is missing or empty.
    """
    for kind in ('img_dir', 'ann_dir'):
        folder = root / kind / 'train'
        if not folder.is_dir() or not next(folder.rglob('*.*'), None):
            raise FileNotFoundError(
                f'{folder} {"is empty" if folder.is_dir() else "does not exist"}: expected the dataset {description}, '
                f'in the layout img_dir/train, ann_dir/train. {remedy}'.rstrip()
            )


def augmented_root(data: Path, word: str) -> Path:
    """``<data>_aug_<word>``, where ``augment/run.py`` writes the images edited with a word.

    Raises:
        FileNotFoundError: it does not exist; the message has the command that makes it.
    """
    root = data.with_name(f'{data.name}_aug_{word}')
    check_dataset(
        root,
        f'edited with the word "{word}"',
        f'Make it with: {program("augment")} --data {data} --word {word}',
    )
    return root


def write_ratio_list(data: Path, augmented: Path, percent: int, folder: Path) -> Path:
    """Write a list of all original images and of a share of the edited ones.

    The edited images are taken in the order of a hash of their names: the choice depends on the names alone, and
    a larger share contains every smaller one.

    Args:
        data: the original dataset.
        augmented: the originals and their edited copies.
        percent: share of the edited images, 0 to 100.
        folder: where the list goes.

    Returns:
        ``<folder>/<augmented>-<percent>.txt``, one name a line as ``ann_file`` reads it.

    Raises:
        ValueError: ``augmented`` lacks original images, or has no others.
    """
    edited = added_images(data, augmented)
    chosen = edited[: math.ceil(len(edited) * percent / 100)]
    path = folder / f'{augmented.name}-{percent}.txt'
    write(path, ''.join(f'{name}\n' for name in sorted([*image_names(data), *chosen])))
    return path


def added_images(data: Path, augmented: Path) -> list[str]:
    """Names of the images of ``augmented`` that ``data`` does not have, in the order of a hash of their names.

    Raises:
        ValueError: ``augmented`` lacks original images, or has no others.
    """
    originals = set(image_names(data))
    names = image_names(augmented)
    missing = sorted(originals.difference(names))
    if missing:
        raise ValueError(
            f'{augmented}/img_dir/train lacks {len(missing)} of the original images, such as {missing[0]!r}; '
            'it must hold the originals and their edited copies, as augment/run.py leaves it'
        )
    added = sorted(set(names) - originals, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if not added:
        raise ValueError(f'{augmented}/img_dir/train holds no image that is not in {data}/img_dir/train')
    return added
