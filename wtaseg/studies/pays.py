"""The study ``pays``: do edited, planted and pasted images help with this data, and in which dose?

All rows train for the same number of iterations. A dose of 1 adds as many images as there are originals, or as the smallest
of the added datasets has; the best row by its validations is then trained with the other doses.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from mmengine.config import Config

from augment.dataset.manifest import MANIFEST, Manifest
from wtaseg.io import write
from wtaseg.report.summary import Marking
from wtaseg.studies.datasets import added_images, check_dataset, image_names
from wtaseg.studies.overrides import save_counts
from wtaseg.studies.paired import MEAN_IOU
from wtaseg.studies.provenance import program
from wtaseg.studies.results import RowRecord, StudyRecord, StudyResults
from wtaseg.studies.spec import Experiment, Override, Study, StudyOptions, StudyRow

PAYS = 'pays'
SEEDS = 3
"""Fewest runs of each row."""

DOSES = (0.5, 1, 2)
ORIGINAL, PASTE, COPIED, PROPOSED, PLANTED, ALL = (
    'Original',
    'Paste',
    'Edits, copied labels',
    'Edits, proposed labels',
    'Planted',
    'All',
)
PARTS = {
    PASTE: (PASTE,),
    COPIED: (COPIED,),
    PROPOSED: (PROPOSED,),
    PLANTED: (PLANTED,),
    ALL: (PASTE, PROPOSED, PLANTED),
}
"""The added datasets of each row."""

KEYS = {PASTE: 'paste', COPIED: 'copied', PROPOSED: 'proposed', PLANTED: 'planted', ALL: 'all'}


@dataclass(frozen=True)
class Addition:
    """A dataset of added images: its folder and their names, in an order that does not depend on the dose."""

    root: Path
    names: tuple[str, ...]


def pays(options: StudyOptions) -> Study:
    """The original images, and with added ones of each kind at dose 1.

    Raises:
        FileNotFoundError, ValueError: a dataset is missing, or its labels are not those that its row says.
    """
    additions = find_additions(options)
    size = dose_size(options, additions)
    rows = [StudyRow('Dose 0', ORIGINAL, Experiment(options.model_config, 'counted', save_counts))]
    rows += [
        make_row(options, label, 1, additions, size)
        for label in PARTS
        if set(PARTS[label]) <= additions.keys()
    ]
    return Study(
        PAYS,
        'Does it pay?',
        'Do added images help with this data, and how many of them?',
        ('Dose', 'Trained on'),
        tuple(rows),
        Marking.AGAINST_FIRST,
        follow_up=partial(dose_rows, options, additions, size),
    )


def find_additions(options: StudyOptions) -> dict[str, Addition]:
    """The added datasets that the rows need, by label.

    Raises:
        FileNotFoundError, ValueError: see :func:`pays`.
    """
    data, word = options.data_folder, options.word
    edits = data.with_name(f'{data.name}_aug_{word}')
    copied = options.not_relabelled or edits
    augment = f'{program("augment")} --data {data}'
    places = {
        PASTE: (options.pasted or data.with_name(f'{data.name}_paste'), f'{augment} --mode paste --ratio 1'),
        COPIED: (copied, f'{augment} --word {word}'),
        PROPOSED: (
            options.relabelled or data.with_name(f'{data.name}_aug_{word}_proposed'),
            f'wta-seg relabel {copied} --out {edits}_proposed',
        ),
        PLANTED: (
            options.planted or data.with_name(f'{data.name}_plant_{word}'),
            f'{augment} --mode plant --word {word} --ratio 1',
        ),
    }
    named = {text.casefold() for text in options.only}
    every = not named or 'dose 1' in named
    wanted = {part for label in PARTS if every or label.casefold() in named for part in PARTS[label]}
    additions = {}
    for label, (root, remedy) in places.items():
        if label in wanted:
            check_dataset(root, f'of the row "{label}"', f'Make it with: {remedy}')
            check_labels(root, label)
            additions[label] = Addition(root.resolve(), tuple(added_images(data, root.resolve())))
    return additions


def check_labels(root: Path, label: str) -> None:
    """Raises ``ValueError`` where the labels of the edits in ``root`` are not copied, or not proposed, as the row says."""
    if label not in (COPIED, PROPOSED) or not (root / MANIFEST).is_file():
        return
    edits = [row for row in Manifest(root).rows.values() if row.accepted]
    changed = sum(bool(row.relabelled) for row in edits)
    if label == COPIED and changed:
        raise ValueError(
            f'{root}: {changed} of {len(edits)} labels are relabelled, the row "{label}" needs copies; name the dataset '
            'as it was with --not-relabelled DIR (and this one with --relabelled)'
        )
    if label == PROPOSED and not changed:
        raise ValueError(f'{root}: no label is relabelled; run wta-seg relabel {root}')


def dose_size(options: StudyOptions, additions: Mapping[str, Addition]) -> int:
    """Images of a dose of 1."""
    sizes = [len(image_names(options.data_folder)), *(len(part.names) for part in additions.values())]
    return min(sizes)


def make_row(
    options: StudyOptions, label: str, dose: float, additions: Mapping[str, Addition], size: int
) -> StudyRow:
    """A row with the added images of ``label``, ``dose * size`` of each of its datasets."""
    count, lists = math.ceil(dose * size), []
    for part in PARTS[label]:
        names = additions[part].names
        whole, rest = divmod(count, len(names))
        for times, chosen in ((whole, names), (1, names[:rest])):
            if times and chosen:
                file = options.layout.study_lists / f'{PAYS}-{KEYS[part]}-{len(chosen)}.txt'
                write(file, ''.join(f'{name}\n' for name in sorted(chosen)))
                lists.append((additions[part].root, file, times))
    key = f'{PAYS}-{KEYS[label]}' + ('' if dose == 1 else f'-x{dose:g}')
    return StudyRow(f'Dose {dose:g}', label, Experiment(options.model_config, key, train_with(lists)))


def train_with(lists: Sequence[tuple[Path, Path, int]]) -> Override:
    """Train on the original images and on listed ones of other datasets, (root, list of names, times each)."""

    def override(cfg: Config) -> None:
        save_counts(cfg)
        original = cfg.train_dataloader.dataset
        if 'data_prefix' not in original:
            raise ValueError(
                f'{cfg.filename}: train_dataloader.dataset is a {original.type}; the study pays needs a dataset with '
                'data_prefix'
            )
        datasets = [original]
        for root, names, times in lists:
            added = {**original, 'data_root': str(root), 'ann_file': str(names.resolve())}
            datasets.append(dict(type='RepeatDataset', times=times, dataset=added) if times > 1 else added)
        cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=datasets)

    return override


def dose_rows(
    options: StudyOptions,
    additions: Mapping[str, Addition],
    size: int,
    results: StudyResults,
    study: StudyRecord,
) -> tuple[StudyRow, ...]:
    """The best row with the other doses; none before all rows at dose 1 are done."""
    rows = [row for row in study.rows if row.group == 'Dose 1']
    best = best_row(results, rows)
    if options.only or best is None or results.unfinished(name for row in study.rows for name in row.runs):
        return ()
    doses = [make_row(options, best.label, dose, additions, size) for dose in DOSES if dose != 1]
    present = {(row.group, row.label) for row in study.rows}
    return tuple(row for row in doses if (row.group, row.label) not in present)


def best_row(results: StudyResults, rows: Sequence[RowRecord]) -> RowRecord | None:
    """The row with the highest mean over its seeds of the best validation, by foreground mIoU.

    The validation set decides, so that the test images that answer the question have no part in it.
    """
    scores = []
    for row in rows:
        values = [
            value for run in results.done_runs(row) if (value := best_validation(run.validations)) is not None
        ]
        if values:
            scores.append((sum(values) / len(values), row))
    return max(scores, key=lambda pair: pair[0])[1] if scores else None


def best_validation(validations: Mapping[int, Mapping[str, float | None]]) -> float | None:
    """The highest foreground mIoU of a run's validations; None: not measured."""
    values = [metrics.get(f'foreground_{MEAN_IOU}') for metrics in validations.values()]
    return max((value for value in values if value is not None), default=None)


def pairs_to_compare(study: StudyRecord) -> list[tuple[str, str]]:
    """Titles of rows to compare: each with the original images; labels, planting and doses with each other."""
    titles = {(row.group, row.label): row.title for row in study.rows}
    first = study.rows[0].title
    pairs = [(row.title, first) for row in study.rows[1:]]
    for row, against in ((PROPOSED, COPIED), (PLANTED, PASTE)):
        if ('Dose 1', row) in titles and ('Dose 1', against) in titles:
            pairs.append((titles['Dose 1', row], titles['Dose 1', against]))
    for low, high in pairwise(DOSES):
        for row in study.rows:
            if row.group == f'Dose {high:g}' and (f'Dose {low:g}', row.label) in titles:
                pairs.append((row.title, titles[f'Dose {low:g}', row.label]))
    return pairs
