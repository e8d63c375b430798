"""``wta-seg split``: a labelled dataset with other splits, or in folds for cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from mmseg.datasets.image_files import match_images
from mmseg.datasets.normal_images import NORMAL_DIR
from wtaseg.io import write
from wtaseg.labels.masks import read_mask
from wtaseg.labels.record import read_settings
from wtaseg.runs.layout import find_config

from .images import find_images
from .split import SPLITS, Split, assign_parts, group_keys
from .writing import IMAGE_DIR, LABEL_DIR, Pair, check_target, write_dataset

_IGNORED = 255
#: Folder of a dataset for lists of folds.
FOLDS = 'folds'


@dataclass(frozen=True)
class LabelledFile:
    """An image of a dataset and its label; ``stem`` is its path below img_dir without ending."""

    stem: str
    image: Path
    label: Path

    @property
    def split(self) -> str:
        """The split that it is in; empty in a dataset without splits."""
        first = PurePosixPath(self.stem).parts[0]
        return first if first in SPLITS and '/' in self.stem else ''

    @property
    def name(self) -> str:
        """The stem without its split."""
        return self.stem.removeprefix(f'{self.split}/') if self.split else self.stem


def read_files(root: Path) -> list[LabelledFile]:
    """The images of a dataset with their labels; it may have splits or not.

    Raises:
        FileNotFoundError: a folder or a label is missing.
        ValueError: two images have one name.
    """
    folder = root / IMAGE_DIR
    if not folder.is_dir():
        raise FileNotFoundError(
            f'{folder} does not exist; expected a dataset with {IMAGE_DIR} and {LABEL_DIR}'
        )
    names = (path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())
    files = [
        LabelledFile(stem, folder / name, root / LABEL_DIR / f'{stem}.png')
        for stem, name in match_images(names).items()
    ]
    if not files:
        raise FileNotFoundError(f'{folder} holds no image')
    for file in files:
        if not file.label.is_file():
            raise FileNotFoundError(
                f'{file.label} does not exist, the label of {file.image}; check the dataset first: wta-seg check {root}'
            )
    return files


def class_pixels(files: Sequence[LabelledFile]) -> np.ndarray:
    """Pixels per image and class id, int64 ``(N, number of classes)``; ignored ones are not counted."""
    counts = [np.bincount(read_mask(file.label, 'L').ravel(), minlength=256)[:_IGNORED] for file in files]
    table = np.array(counts)
    return table[:, : int(np.flatnonzero(table.any(0)).max(initial=0)) + 1]


def resplit(root: Path, out: Path, split: Split) -> dict[str, str]:
    """Write the dataset ``root`` with other splits to ``out``; returns the split of each image.

    Raises:
        FileNotFoundError, ValueError: the dataset or ``out`` can not be used.
    """
    files = read_files(root)
    names = [file.name for file in files]
    doubled = (
        next((name for name in names if names.count(name) > 1), None)
        if len(set(names)) < len(names)
        else None
    )
    if doubled is not None:
        raise ValueError(f'{root}: {doubled} is in two splits; rename one of the images')
    splits = split.assign(names, class_pixels(files))
    recorded = read_settings(root)
    settings = dict(
        {key: recorded[key] for key in ('classes', 'value_range') if key in recorded},
        source=str(root.resolve()),
        split=list(split.shares),
        seed=split.seed,
        group_by=split.group_by,
    )
    check_target(out, settings)
    pairs = [Pair(splits[file.name], file.name, file.image, file.label.read_bytes()) for file in files]
    if (root / NORMAL_DIR).is_dir():
        pairs += [
            Pair('', image.name, image.path, None) for image in find_images([root / NORMAL_DIR]).values()
        ]
    write_dataset(out, settings, pairs)
    return splits


def fold_lists(folder: Path, folds: int) -> list[tuple[Path, Path]]:
    """Paths of the lists (train, val) of each fold in a folder, whether they exist or not."""
    return [
        (folder / f'{fold}of{folds}_train.txt', folder / f'{fold}of{folds}_val.txt')
        for fold in range(1, folds + 1)
    ]


def write_folds(
    root: Path, folds: int, seed: int = 0, group_by: str = '', folder: Path | None = None
) -> list[tuple[Path, Path]]:
    """Write lists of image names for cross-validation; returns the (train, val) lists of each fold.

    Images of the test split are in no fold. The lists name images relative to ``img_dir``, without ending.

    Args:
        root: dataset.
        folds: their number.
        seed: of the division.
        group_by: see :class:`.split.Split`.
        folder: of the lists; None: ``root/folds``.

    Raises:
        ValueError: fewer than two folds, or fewer images than folds.
    """
    if folds < 2:
        raise ValueError(f'--folds {folds}: expected at least 2')
    files = [file for file in read_files(root) if file.split != 'test']
    keys = group_keys([file.name for file in files], group_by)
    parts = assign_parts(keys, class_pixels(files), [1] * folds, seed)
    lists = fold_lists(root / FOLDS if folder is None else folder, folds)
    for fold, pair in enumerate(lists):
        for path, inside in zip(pair, (parts != fold, parts == fold)):
            write(path, ''.join(f'{file.stem}\n' for file, take in zip(files, inside) if take))
    return lists


def write_fold_configs(experiment: str, root: Path, lists: Sequence[tuple[Path, Path]]) -> list[Path]:
    """Write a config for each fold beside the config of an experiment, which it is based on.

    Raises:
        FileNotFoundError: there is no such experiment.
        ValueError: its training set is wrapped in another dataset.
    """
    from mmengine.config import Config

    base = find_config(experiment)
    for split in ('train', 'val'):
        dataset = Config.fromfile(base)[f'{split}_dataloader'].dataset
        if 'data_prefix' not in dataset:
            raise ValueError(
                f'{base}: {split}_dataloader.dataset is a {dataset.type}; folds need a dataset with data_prefix'
            )
    paths = []
    for fold, pair in enumerate(lists, 1):
        path = base.with_name(f'{base.stem}_fold{fold}.py')
        lines = [f'"""Fold {fold} of {len(lists)} of {base.stem}."""', '', f"_base_ = './{base.name}'", '']
        for split, file in zip(('train', 'val'), pair):
            lines += [
                f'{split}_dataloader = dict(',
                '    dataset=dict(',
                f'        data_root={root.as_posix()!r},',
                f'        ann_file={file.relative_to(root).as_posix()!r},',
                f"        data_prefix=dict(img_path='{IMAGE_DIR}', seg_map_path='{LABEL_DIR}'),",
                '    )',
                ')',
            ]
        write(path, '\n'.join(lines) + '\n')
        paths.append(path)
    return paths
