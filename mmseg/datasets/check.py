"""Check whether a dataset can be trained on: all of it, or the fast part that every training runs first."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmseg.processes import worker_pool

from .check_report import Report, SplitStats
from .label_counts import count_ids
from .label_files import (
    CONVERTER,
    LabelRules,
    Problem,
    check_ids,
    compare_headers,
    content_hash,
    header,
    image_notices,
    read_image,
    read_pixels,
)
from .label_pairs import LABEL_DIR, find_pairs
from .label_scan import scan_labels
from .normal_images import NORMAL

#: With fewer pairs per process, one process is faster.
PAIRS_PER_WORKER = 300


def check_files(
    pairs: Iterable[tuple[str, str]],
    num_classes: int,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    limit: int | None = None,
    ignored_ids: Iterable[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """The part that is made before each training and test: headers of all files, ids of the label maps.

    Args:
        pairs: Paths of an image and its label map.
        num_classes: Ids 0..num_classes-1 are allowed (after ``reduce_zero_label``).
        ignore_index: Allowed as well.
        reduce_zero_label: The files hold 0 for ignored and classes from 1.
        limit: Number of label maps whose ids are checked, evenly spread over ``pairs``; None: all.
        ignored_ids: Ids of the files that are dropped, see ``BaseSegDataset.get_label_map``.
        progress: Called with (label maps done, label maps in all).

    Raises:
        ValueError: Something is wrong; names file, values found and expected, and the remedy.
    """
    rules = LabelRules(num_classes, ignore_index, reduce_zero_label)
    pairs = list(pairs)
    everything = [problem for pair in pairs for problem in compare_headers(*pair)]
    problems = [problem for problem in everything if not problem.notice]
    _warn_of_notices([problem for problem in everything if problem.notice])
    if not problems:
        labels = list(dict.fromkeys(label for _, label in pairs))
        if limit is not None and limit < len(labels):
            labels = [labels[i] for i in np.linspace(0, len(labels) - 1, limit).astype(int)]
        problems = _check_labels(labels, rules, set(ignored_ids), progress)
    if problems:
        files = f'{len(problems)} files have' if len(problems) > 1 else 'a file has'
        raise ValueError(
            f'{files} a problem; {problems[0]} All of them: wta-seg check DATASET (its folder with img_dir and ann_dir)'
        )


def check_readable(images: Iterable[str]) -> None:
    """Check the headers of images without labels.

    Raises:
        ValueError: an image can not be read; names it and the remedy.
    """
    problems = [head for head in map(header, images) if isinstance(head, Problem)]
    if problems:
        raise ValueError(f'{len(problems)} images have a problem, first: {problems[0]}')


def _check_labels(
    labels: list[str], rules: LabelRules, ignored_ids: set[int], progress: Callable[[int, int], None]
) -> list[Problem]:
    problems, total = [], np.zeros(256, np.int64)
    for done, (label, counts) in enumerate(scan_labels(labels), 1):
        progress(done, len(labels))
        if isinstance(counts, Problem):
            problems.append(counts)
            continue
        problem = check_ids(label, *counts, rules)
        if problem is not None:
            problems.append(problem)
        total += counts[0]
    if labels and not problems:
        labelled = rules.labelled()
        labelled[list(ignored_ids)] = False
        if total[labelled].any():
            _warn_of_binary_masks(labels, total, rules)
        else:
            remedy = f'Correct the labels, or ignore_index={rules.ignore_index} of the dataset.'
            text = f'every pixel of all {len(labels)} label maps is ignored, expected {rules}'
            problems.append(Problem('nothing labelled', (str(Path(labels[0]).parent),), text, remedy))
    return problems


def check_dataset(
    root: str | Path,
    num_classes: int = 3,
    ignore_index: int = 255,
    classes: Sequence[str] | None = None,
    workers: int | None = None,
    img_suffix: str | None = None,
    seg_map_suffix: str = '.png',
    reduce_zero_label: bool = False,
    value_range: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check every file of a dataset in the layout ``img_dir/<split>``, ``ann_dir/<split>``.

    Images in ``normal_dir`` have no labels; they are counted as normal all over, as a split of that name. It finds images without label and the reverse, unreadable files, sizes that differ, RGB labels, ids
    out of range, classes without a pixel, and images that occur in two splits.

    Args:
        root: Folder with img_dir and ann_dir.
        num_classes: Number of classes.
        ignore_index: Id of pixels that losses and metrics skip.
        classes: Names of the classes; their number replaces ``num_classes``.
        workers: Processes; None: one per processor, fewer for small sets.
        img_suffix: Ending of image files; None: every image, see :mod:`.image_files`.
        seg_map_suffix: Ending of label files.
        reduce_zero_label: The files hold 0 for ignored and classes from 1.
        value_range: (low, high) that training scales images of more than 8 bits from; None: each file's own.
        progress: Called with (pairs done, pairs in all).

    Raises:
        FileNotFoundError: The folder has another layout.
    """
    names = tuple(classes) if classes else tuple(f'class {i}' for i in range(num_classes))
    rules = LabelRules(len(names), ignore_index, reduce_zero_label)
    pairs, problems = find_pairs(Path(root), img_suffix, seg_map_suffix)
    stats = {split: SplitStats() for split in pairs}
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    flat = [(split, *pair) for split, split_pairs in pairs.items() for pair in split_pairs]
    inspect = partial(_inspect, rules=rules, value_range=value_range)
    inspected = _inspect_all([pair[1:] for pair in flat], inspect, workers)
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
        for split in (split for name, split in stats.items() if name != NORMAL):
            split.pixels, split.holders = _shifted(split.pixels), _shifted(split.holders)
    problems += _duplicates(places)
    problems += _empty_classes(Path(root), stats, names)
    notices = [problem for problem in problems if problem.notice]
    problems = [problem for problem in problems if not problem.notice]
    return Report(str(root), names, ignore_index, stats, problems, notices)


def _inspect_all(pairs: list[tuple[str, str]], inspect: Callable, workers: int | None) -> Iterator[tuple]:
    if workers is None:
        workers = min(os.cpu_count() or 1, len(pairs) // PAIRS_PER_WORKER)
    if workers <= 1:
        yield from map(inspect, pairs)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(inspect, pairs, chunksize=8)


def _inspect(
    pair: tuple[str, str | None], rules: LabelRules, value_range: Sequence[float] | None
) -> tuple[list[Problem], str | None, np.ndarray | None]:
    """Problems of a pair, digest of the image's pixels, pixels per label id; of a normal image all are 0."""
    if pair[1] is None:
        head = header(pair[0])
        problems = [head] if isinstance(head, Problem) else []
    else:
        problems = compare_headers(*pair)
    usable = {'size mismatch', 'label not upright'}
    bad = {file for problem in problems if problem.kind not in usable for file in problem.files}
    problems += image_notices(pair[0], value_range)
    digest = counted = None
    if pair[0] not in bad:
        pixels = read_image(pair[0])
        if isinstance(pixels, Problem):
            problems.append(pixels)
        else:
            digest = content_hash(pixels)
            if pair[1] is None:
                counted = np.bincount([0], [pixels.shape[0] * pixels.shape[1]], 256).astype(np.int64)
    if pair[1] is not None and pair[1] not in bad:
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
        if split == NORMAL:
            continue
        missing = [name for i, name in enumerate(names) if counts.pixels[i] == 0]
        if not missing or not counts.pixels.any():
            continue
        remedy = 'Move images with it into this split; without them it is neither learned nor measured.'
        if not counts.pixels[1:255].any() and counts.pixels[255]:
            remedy = f'The labels hold only 0 and 255, a mask of 0/255? Convert: python {CONVERTER} binary.'
        where = str(root / LABEL_DIR / split)
        problems.append(Problem('empty class', (where,), f'no pixel of {", ".join(missing)}', remedy))
    return problems


def _warn_of_notices(notices: list[Problem]) -> None:
    """One warning per kind, with the first example."""
    for kind in dict.fromkeys(notice.kind for notice in notices):
        same = [notice for notice in notices if notice.kind == kind]
        more = f' (and {len(same) - 1} more)' if len(same) > 1 else ''
        warnings.warn(f'{same[0]}{more}', stacklevel=3)


def _warn_of_binary_masks(labels: list[str], total: np.ndarray, rules: LabelRules) -> None:
    if rules.ignore_index == 255 and total[255] and not total[1:255].any():
        warnings.warn(
            f'the {len(labels)} label maps checked, {labels[0]} for example, hold only 0 and 255, and 255 is '
            f'ignored: only class 0 would be learned. For masks of 0/255: python {CONVERTER} binary.',
            stacklevel=3,
        )
