"""The study ``folds``: cross-validation of one experiment."""

import math
from pathlib import Path

from mmengine.config import Config

from wtaseg.new.resplit import FOLDS, IMAGE_DIR, LABEL_DIR, fold_lists, write_folds
from wtaseg.report.summary import Marking, Row, Summary, Table
from wtaseg.studies.overrides import save_counts
from wtaseg.studies.pooled import PooledPoint
from wtaseg.studies.results import StudyRecord
from wtaseg.studies.spec import Experiment, Override, Study, StudyOptions, StudyRow

MEAN = 'Mean over the folds'
HELD_OUT = 'held-out images of each fold'


def folds(options: StudyOptions) -> Study:
    """Each fold is trained on all images but its own, which then validate and test it."""
    root, count = options.data_folder, options.folds
    lists = fold_lists(root / FOLDS, count)
    if not all(path.is_file() for pair in lists for path in pair):
        lists = write_folds(root, count, folder=options.layout.study_lists)
    rows = []
    for number, (train, held_out) in enumerate(lists, 1):
        images = len(held_out.read_text(encoding='utf-8').split('\n')) - 1
        experiment = Experiment(options.model_config, f'fold{number}of{count}', hold_out(train, held_out))
        rows.append(StudyRow(root.name, f'Fold {number} ({images} images)', experiment))
    return Study(
        'folds',
        'Cross-validation',
        'What is to be expected on new images, and how much does it depend on the images of the training?',
        ('Dataset', 'Tested on'),
        tuple(rows),
        Marking.MEAN,
    )


def hold_out(train: Path, held_out: Path) -> Override:
    """Train on the images of one list, validate and test on those of another; both count from img_dir."""

    def override(cfg: Config) -> None:
        for split, names in (('train', train), ('val', held_out), ('test', held_out)):
            dataset = cfg[f'{split}_dataloader'].dataset
            if 'data_prefix' not in dataset:
                raise ValueError(
                    f'{cfg.filename}: {split}_dataloader.dataset is a {dataset.type}; folds need a dataset with '
                    'data_prefix'
                )
            dataset.ann_file = str(names.resolve())
            dataset.data_prefix = {**dataset.data_prefix, 'img_path': IMAGE_DIR, 'seg_map_path': LABEL_DIR}
        save_counts(cfg)

    return override


def mean_row(study: StudyRecord, rows: list[Row]) -> Row:
    """Mean and sample standard deviation over the folds; each counts as the mean of its seeds."""
    done = [row for row in rows if row.runs]
    columns = zip(*(row.summaries for row in rows))
    summaries = tuple(Summary.of(summary.mean for summary in column) for column in columns)
    return Row(rows[0].group if rows else '', MEAN, summaries, len(done), len(study.rows))


def fold_findings(table: Table, pooled: PooledPoint | None) -> list[str]:
    """The spread between the folds, and the pooled operating point."""
    *rows, mean = table.rows
    index = table.metrics.index('mIoU')
    values = {row.label: row.summaries[index].mean for row in rows}
    values = {label: value for label, value in values.items() if not math.isnan(value)}
    sentences = []
    if len(values) > 1:
        low, high = min(values, key=values.get), max(values, key=values.get)
        sentences.append(
            f'mIoU over the folds: {table.text(mean, "mIoU")}, from {values[low]:.2f} in {low} to {values[high]:.2f} '
            f'in {high}.'
        )
    if pooled is not None:
        sentences += pooled.sentences()
    elif len(values) == len(rows):
        sentences.append(
            'There is no pooled operating point: tests of folds have no inspection_counts.npz; give --restart.'
        )
    return sentences
