"""Write a dataset atomically and in a way that can be repeated; nothing of the source is changed."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmseg.datasets.normal_images import NORMAL_DIR
from wtaseg.io import draft, write
from wtaseg.labels.record import RECORD, read_settings

IMAGE_DIR, LABEL_DIR = 'img_dir', 'ann_dir'


@dataclass(frozen=True)
class Pair:
    """An image file to copy and its label map to write.

    Attributes:
        split: train, val or test; of an image without label not used.
        name: path below the split's folder without ending.
        image: file to copy, byte for byte.
        label: content of the label file; None: the image is known to be normal and has none.
    """

    split: str
    name: str
    image: Path
    label: bytes | None

    def paths(self) -> tuple[str, ...]:
        """Paths of the image and of its label, if any, below the dataset's folder."""
        if self.label is None:
            return (f'{NORMAL_DIR}/{self.name}{self.image.suffix}',)
        return (
            f'{IMAGE_DIR}/{self.split}/{self.name}{self.image.suffix}',
            f'{LABEL_DIR}/{self.split}/{self.name}.png',
        )


def check_target(out: Path, settings: dict) -> None:
    """Refuse a folder that holds anything but a dataset, whole or in part, that was made with the same ``settings``.

    Raises:
        ValueError: the folder has other content, or was made with other settings; names the first.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    made_with = read_settings(out)
    if not made_with:
        raise ValueError(f'{out} exists and was not made by this command; choose another name, or remove it')
    current = json.loads(json.dumps(settings))
    for key in sorted(current.keys() | made_with.keys()):
        if made_with.get(key) != current.get(key):
            raise ValueError(
                f'{out} was made with {key}={made_with.get(key)!r}, now {key}={current.get(key)!r}; '
                'choose another name, or remove the folder'
            )


def write_dataset(
    out: Path, settings: dict, pairs: Iterable[Pair], progress: Callable[[list], Iterable] = iter
) -> int:
    """Write the images and labels of a dataset; returns how many files were written, the others being there already.

    The record is written first, so that an interrupted run can be repeated. Files appear atomically.

    Args:
        out: folder of the dataset.
        settings: what the dataset is made with, see :func:`check_target`.
        pairs: images and labels.
        progress: wraps the list of pairs, for a progress bar.

    Raises:
        ValueError: the folder can not be used, or holds images or labels that are not among ``pairs``.
    """
    pairs = list(pairs)
    check_target(out, settings)
    wanted = {path for pair in pairs for path in pair.paths()}
    for folder in (IMAGE_DIR, LABEL_DIR, NORMAL_DIR):
        for path in (out / folder).rglob('*'):
            name = path.relative_to(out).as_posix()
            if path.is_file() and name not in wanted and not path.name.startswith('.'):
                raise ValueError(
                    f'{path} does not belong to the dataset that these images and labels make: they have changed '
                    f'since {out} was begun; remove the folder, or choose another name'
                )
    splits = {pair.name: pair.split for pair in pairs if pair.label is not None}
    record = dict(settings=settings, splits=splits)
    write(out / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + '\n')
    written = 0
    for pair in progress(pairs):
        image, *labels = (out / path for path in pair.paths())
        written += _copy(pair.image, image) + sum(_write(label, pair.label) for label in labels)
    return written


def _copy(source: Path, target: Path) -> bool:
    """Copy unless the copy is there; size and time of the last change tell."""
    stat = source.stat()
    if target.is_file():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            return False
    with draft(target) as part:
        shutil.copyfile(source, part)
        os.utime(part, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return True


def _write(target: Path, content: bytes) -> bool:
    if target.is_file() and target.read_bytes() == content:
        return False
    write(target, content)
    return True
