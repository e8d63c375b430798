"""Check whether a dataset can be trained on: all of it, or the fast part that every training runs first."""

import multiprocessing
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from .check_report import Report, SplitStats
from .label_counts import count_ids
from .label_files import (
    CONVERTER,
    LabelRules,
    Problem,
    check_ids,
    compare_headers,
    content_hash,
    read_pixels,
)

IMAGE_DIR, LABEL_DIR = 'img_dir', 'ann_dir'

#: With fewer pairs per process, one process is faster.
PAIRS_PER_WORKER = 300

_PROBLEMS_LISTED = 10


def check_files(
    pairs: Iterable[tuple[str, str]],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    limit: int | None = None,
) -> None:
    """The fast part: headers of all files, ids of some label maps.

    Args:
        pairs: Paths of an image and its label map.
        num_classes: Ids 0..num_classes-1 are allowed (after ``reduce_zero_label``).
        ignore_index: Allowed as well.
        reduce_zero_label: The files hold 0 for ignored and classes from 1.
        limit: Number of label maps whose ids are checked, evenly spread over ``pairs``; None: all.

    Raises:
        ValueError: Something is wrong; names file, values found and expected, and the remedy.
    """
    rules = LabelRules(num_classes, ignore_index, reduce_zero_label)
    pairs = list(pairs)
    problems = [problem for pair in pairs for problem in compare_headers(*pair)]
    if not problems:
        labels = list(dict.fromkeys(label for _, label in pairs))
        if limit is not None and limit < len(labels):
            labels = [labels[i] for i in np.linspace(0, len(labels) - 1, limit).astype(int)]
        total = np.zeros(256, np.int64)
        for label in labels:
            counts = _ids_of(label)
            if isinstance(counts, Problem):
                problems.append(counts)
                continue
            problem = check_ids(label, *counts, rules)
            if problem is not None:
                problems.append(problem)
            total += counts[0]
        if labels and not problems:
            _warn_of_binary_masks(labels, total, rules)
    if problems:
        listed = '\n  '.join(str(problem) for problem in problems[:_PROBLEMS_LISTED])
        rest = len(problems) - _PROBLEMS_LISTED
        more = f'\n  and {rest} more' if rest > 0 else ''
        raise ValueError(
            f'{len(problems)} problem(s) in the dataset:\n  {listed}{more}\n'
            'All of them: python tools/dataset_tools/check_dataset.py DIR'
        )


def check_dataset(
    root: str | Path,
    num_classes: int = 3,
    ignore_index: int = 255,
    classes: Sequence[str] | None = None,
    workers: int | None = None,
    img_suffix: str = '.png',
    seg_map_suffix: str = '.png',
    reduce_zero_label: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check every file of a dataset in the layout ``img_dir/<split>``, ``ann_dir/<split>``.

    It finds images without label and the reverse, unreadable files, sizes that differ, RGB labels, ids
    out of range, classes without a pixel, and images that occur in two splits.

    Args:
        root: Folder with img_dir and ann_dir.
        num_classes: Number of classes.
        ignore_index: Id of pixels that losses and metrics skip.
        classes: Names of the classes; their number replaces ``num_classes``.
        workers: Processes; None: one per processor, fewer for small sets.
        img_suffix: Ending of image files.
        seg_map_suffix: Ending of label files.
        reduce_zero_label: The files hold 0 for ignored and classes from 1.
        progress: Called with (pairs done, pairs in all).

    Raises:
        FileNotFoundError: The folder has another layout.
    """
    names = tuple(classes) if classes else tuple(f'class {i}' for i in range(num_classes))
    rules = LabelRules(len(names), ignore_index, reduce_zero_label)
    pairs, problems = _find_pairs(Path(root), img_suffix, seg_map_suffix)
    stats = {split: SplitStats() for split in pairs}
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    flat = [(split, *pair) for split, split_pairs in pairs.items() for pair in split_pairs]
    inspected = _inspect_all([pair[1:] for pair in flat], rules, workers)
    for done, ((split, image, _), (of_pair, digest, counted)) in enumerate(zip(flat, inspected), 1):
        problems += of_pair
        stats[split].images += 1
        if digest is not None:
            places[digest].append((split, image))
        if counted is not None:
            stats[split].pixels += counted
            stats[split].holders += counted > 0
        if progress is not None:
            progress(done, len(flat))
    if reduce_zero_label:
        for split in stats.values():
            split.pixels, split.holders = _shifted(split.pixels), _shifted(split.holders)
    problems += _duplicates(places)
    problems += _empty_classes(Path(root), stats, names)
    return Report(str(root), names, ignore_index, stats, problems)


def _find_pairs(root: Path, img_suffix: str, seg_map_suffix: str) -> tuple[dict, list[Problem]]:
    """Pairs of paths per split, and the problems of files without a partner."""
    for folder in (IMAGE_DIR, LABEL_DIR):
        if not (root / folder).is_dir():
            raise FileNotFoundError(
                f'{root / folder} does not exist. A dataset is a folder with {IMAGE_DIR}/<split> and '
                f'{LABEL_DIR}/<split>, see data/README.md.'
            )
    splits = sorted({p.name for d in (IMAGE_DIR, LABEL_DIR) for p in (root / d).iterdir() if p.is_dir()})
    if not splits:
        raise FileNotFoundError(
            f'{root / IMAGE_DIR} has no folder for a split; move the images to {IMAGE_DIR}/train, '
            'val and test, and the labels likewise.'
        )
    order = {'train': 0, 'val': 1, 'test': 2}
    pairs, problems = {}, []
    for split in sorted(splits, key=lambda s: (order.get(s, 3), s)):
        images, strange = _stems(root / IMAGE_DIR / split, img_suffix)
        labels, strange_labels = _stems(root / LABEL_DIR / split, seg_map_suffix)
        for path, suffix in [(p, img_suffix) for p in strange] + [
            (p, seg_map_suffix) for p in strange_labels
        ]:
            remedy = f'Training would not see it: convert it to {suffix}, or pass the suffix of your files.'
            problems.append(Problem('other suffix', (path,), f'does not end with {suffix}', remedy))
        for stem in sorted(images.keys() - labels.keys()):
            partner = root / LABEL_DIR / split / (stem + seg_map_suffix)
            remedy = f'Add {partner}; for an image without defects it is all 0.'
            problems.append(Problem('image without label', (images[stem],), 'has no label', remedy))
        for stem in sorted(labels.keys() - images.keys()):
            partner = root / IMAGE_DIR / split / (stem + img_suffix)
            problems.append(
                Problem(
                    'label without image', (labels[stem],), 'has no image', f'Add {partner}, or remove it.'
                )
            )
        pairs[split] = [(images[stem], labels[stem]) for stem in sorted(images.keys() & labels.keys())]
        if not pairs[split]:
            folder = str(root / IMAGE_DIR / split)
            problems.append(
                Problem('empty split', (folder,), 'no pair of image and label', 'Fill or remove it.')
            )
    return pairs, problems


def _stems(folder: Path, suffix: str) -> tuple[dict[str, str], list[str]]:
    stems, strange = {}, []
    for path in sorted(folder.rglob('*')) if folder.is_dir() else []:
        if path.is_dir() or path.name.startswith('.'):
            continue
        name = path.relative_to(folder).as_posix()
        if name.endswith(suffix):
            stems[name.removesuffix(suffix)] = str(path)
        else:
            strange.append(str(path))
    return stems, strange


def _inspect_all(pairs: list[tuple[str, str]], rules: LabelRules, workers: int | None) -> Iterator[tuple]:
    if workers is None:
        workers = min(os.cpu_count() or 1, len(pairs) // PAIRS_PER_WORKER)
    work = partial(_inspect, rules=rules)
    if workers <= 1:
        yield from map(work, pairs)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        yield from pool.map(work, pairs, chunksize=8)


def _inspect(pair: tuple[str, str], rules: LabelRules) -> tuple[list[Problem], str | None, np.ndarray | None]:
    """Problems of a pair, digest of the image's pixels, pixels per label id."""
    problems = compare_headers(*pair)
    bad = {file for problem in problems if problem.kind != 'size mismatch' for file in problem.files}
    digest = counted = None
    if pair[0] not in bad:
        pixels = read_pixels(pair[0])
        if isinstance(pixels, Problem):
            problems.append(pixels)
        else:
            digest = content_hash(pixels)
    if pair[1] not in bad:
        counts = _ids_of(pair[1])
        if isinstance(counts, Problem):
            problems.append(counts)
        else:
            counted = counts[0]
            problem = check_ids(pair[1], *counts, rules)
            problems += [problem] if problem else []
    return problems, digest, counted


def _ids_of(label: str) -> tuple[np.ndarray, dict[int, int]] | Problem:
    labels = read_pixels(label)
    return labels if isinstance(labels, Problem) else count_ids(labels)


def _shifted(counts: np.ndarray) -> np.ndarray:
    """Counts per id in a file, converted to counts per id after ``reduce_zero_label``."""
    shifted = np.roll(counts, -1)
    shifted[255], shifted[254] = counts[0] + counts[255], 0
    return shifted


def _duplicates(places: dict[str, list[tuple[str, str]]]) -> list[Problem]:
    problems = []
    for copies in places.values():
        splits = sorted({split for split, _ in copies})
        if len(splits) > 1:
            files = tuple(path for _, path in copies)
            remedy = 'Keep it in one split only: a test on training images measures nothing.'
            problems.append(
                Problem(
                    'duplicate between splits', files, f'the same image in {" and ".join(splits)}', remedy
                )
            )
    return problems


def _empty_classes(root: Path, stats: dict[str, SplitStats], names: tuple[str, ...]) -> list[Problem]:
    problems = []
    for split, counts in stats.items():
        missing = [name for i, name in enumerate(names) if counts.pixels[i] == 0]
        if not missing or not counts.pixels.any():
            continue
        remedy = 'Move images with it into this split; without them it is neither learned nor measured.'
        if not counts.pixels[1:255].any() and counts.pixels[255]:
            remedy = f'The labels hold only 0 and 255, a mask of 0/255? Convert: python {CONVERTER} binary.'
        where = str(root / LABEL_DIR / split)
        problems.append(Problem('empty class', (where,), f'no pixel of {", ".join(missing)}', remedy))
    return problems


def _warn_of_binary_masks(labels: list[str], total: np.ndarray, rules: LabelRules) -> None:
    if rules.ignore_index == 255 and total[255] and not total[1:255].any():
        warnings.warn(
            f'the {len(labels)} label maps checked, {labels[0]} for example, hold only 0 and 255, and 255 is '
            f'ignored: only class 0 would be learned. For masks of 0/255: python {CONVERTER} binary.',
            stacklevel=3,
        )
