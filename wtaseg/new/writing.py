"""Write a dataset atomically and in a way that can be repeated; nothing of the source is changed."""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from augment.dataset.rows import DRAWN
from mmseg.datasets.normal_images import NORMAL_DIR
from mmseg.processes import locked
from wtaseg.io import DRAFT, draft, remove_drafts, write
from wtaseg.labels.record import RECORD, read_settings
from wtaseg.review.records import REJECTED, read_decisions

IMAGE_DIR, LABEL_DIR = 'img_dir', 'ann_dir'
#: Held while a process writes the dataset.
LOCK = '.new.lock'


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
    if not out.exists() or (out.is_dir() and all(map(_is_of_killed_run, out.iterdir()))):
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


def _is_of_killed_run(path: Path) -> bool:
    """Whether a file is what a run leaves that was killed before the record was there."""
    return path.name == LOCK or DRAFT.fullmatch(path.name) is not None


@dataclass(frozen=True)
class Written:
    """What :func:`write_dataset` did.

    Attributes:
        files: written; the others were there already.
        reviewed: images that stay as their review left them.
    """

    files: int
    reviewed: int


def write_dataset(
    out: Path, settings: dict, pairs: Iterable[Pair], progress: Callable[[list], Iterable] = iter
) -> Written:
    """Write the images and labels of a dataset.

    The record is written first, so that an interrupted run can be repeated. Files appear atomically. Images that a
    review rejected and those whose label was drawn in one stay as they are.

    Args:
        out: folder of the dataset.
        settings: what the dataset is made with, see :func:`check_target`.
        pairs: images and labels.
        progress: wraps the list of pairs, for a progress bar.

    Raises:
        ValueError: the folder can not be used, is being written by another process, or holds images or labels that
            are not among ``pairs``.
    """
    pairs = list(pairs)
    check_target(out, settings)
    with locked(out / LOCK, f'the dataset folder {out}'):
        remove_drafts(out)
        return _write_pairs(out, settings, pairs, progress)


def _write_pairs(out: Path, settings: dict, pairs: list[Pair], progress: Callable[[list], Iterable]) -> int:
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
    reviewed = _reviewed_images(out)
    written = 0
    for pair in progress([pair for pair in pairs if pair.paths()[0] not in reviewed]):
        image, *labels = (out / path for path in pair.paths())
        written += _copy(pair.image, image) + sum(_write(label, pair.label) for label in labels)
    return Written(written, len(reviewed))


def _reviewed_images(dataset: Path) -> set[str]:
    """Paths of the images, below ``dataset``, that ``wta-seg review`` rejected or whose label was drawn there."""
    rows = read_decisions(dataset).values()
    return {row.file for row in rows if row.decision == REJECTED or row.relabelled == DRAWN}


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
