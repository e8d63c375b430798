"""``wta-seg study folds``: cross-validation from the lists to the report."""

import csv
import json
import re

import pytest
from mmengine.config import Config
from study_helpers import run_in_process

from mmseg.evaluation.inspection.pooling import COUNTS_FILE, SweepCounts
from wtaseg.cli.study import main
from wtaseg.new.resplit import write_folds
from wtaseg.studies.folds import folds, hold_out
from wtaseg.studies.pooled import PooledPoint
from wtaseg.studies.results import load
from wtaseg.studies.spec import StudyOptions


@pytest.fixture
def command(experiment, blades, tmp_path):
    """The arguments of a study of two folds of a tiny experiment."""
    inspection = dict(type='InspectionMetric', choose_operating_point=True, false_alarms=2.0)
    cfg = experiment(
        val_evaluator=[dict(type='IoUMetric'), inspection],
        **{'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2},
    )
    path = tmp_path / 'configs/net/tiny.py'
    path.parent.mkdir(parents=True)
    cfg.dump(path)
    words = ['folds', '--folds', '2', '--model', 'net/tiny', '--data', blades, '--project', 'p']
    return [*map(str, words), '--work-dir', str(tmp_path), '--config-root', str(tmp_path / 'configs')]


def test_folds_from_a_clean_project(command, blades, tmp_path, monkeypatch, capsys):
    run_in_process(monkeypatch)
    monkeypatch.setattr('wtaseg.studies.report.draw_images', lambda *_: [])  # as of every study, and slow
    assert main(command) == 0, capsys.readouterr().err
    project = tmp_path / 'p'
    # each image but those of the test split is held out once
    held_out = [set((project / f'study/lists/{n}of2_val.txt').read_text().split()) for n in (1, 2)]
    trained = [set((project / f'study/lists/{n}of2_train.txt').read_text().split()) for n in (1, 2)]
    assert held_out == trained[::-1] and len(held_out[0]) == len(held_out[1]) == 8
    assert held_out[0] | held_out[1] == {f'{split}/{i}' for split in ('train', 'val') for i in range(8)}
    results = load(project / 'report/results.json')
    assert [row.label for row in results.studies['folds'].rows] == ['Fold 1 (8 images)', 'Fold 2 (8 images)']
    # the table: both folds, then mean and standard deviation
    lines = list(csv.DictReader((project / 'report/folds.csv').open()))
    assert lines[-1]['Tested on'] == 'Mean over the folds' and len(lines) == 3
    values = [float(line['mIoU']) for line in lines]
    assert values[2] == pytest.approx(sum(values[:2]) / 2, abs=0.01)
    std = float(lines[2]['mIoU SD'])
    assert std == pytest.approx(abs(values[0] - values[1]) / 2**0.5, abs=0.01)
    # the pooled operating point is that of the counts of all 16 images
    counts = [SweepCounts.load(path) for path in sorted(project.rglob(COUNTS_FILE))]
    assert [part.images for part in counts] == [8, 8]
    expected = SweepCounts.pool(counts).choose(2.0)
    pooled = results.pooled['folds']
    assert (pooled.target, pooled.folds, pooled.images) == (2.0, 2, 16)
    for name, point in expected.classes.items():
        assert (pooled.classes[name].threshold, pooled.classes[name].found) == (point.threshold, point.found)
        assert pooled.classes[name].defects == 16
    for report in ('folds.md', 'folds.html'):
        text = (project / 'report' / report).read_text()
        assert 'held-out images of each fold' in text and 'test set' not in text.partition('How to choose')[0]
        assert re.search(
            r'Pooled operating point, 16 held-out images of 2 folds, at most 2 false alarms', text
        )
    # again: nothing is trained; and the report can be made from the results alone
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.count('] skipped ') == 2
    assert (
        main(['--report-only', '--from', str(project / 'report/results.json'), '--out', str(tmp_path / 'o')])
        == 0
    )
    assert (tmp_path / 'o/folds.md').read_text() == (project / 'report/folds.md').read_text()


def test_lists_of_the_dataset_are_used(blades, tmp_path):
    import shutil

    root = tmp_path / 'set'
    shutil.copytree(blades, root)
    lists = write_folds(root, 3, seed=5)
    study = folds(StudyOptions(data=root, project='p', work_dir=tmp_path, folds=3))
    assert not (tmp_path / 'p').exists() and len(study.rows) == 3
    cfg = Config.fromfile(StudyOptions().configs / f'{study.rows[1].experiment.config}.py')
    cfg.train_dataloader.dataset.data_prefix.normal_path = 'normal_dir'
    study.rows[1].experiment.override(cfg)
    assert cfg.train_dataloader.dataset.ann_file == str(lists[1][0])
    assert cfg.val_dataloader.dataset.ann_file == cfg.test_dataloader.dataset.ann_file == str(lists[1][1])
    assert cfg.train_dataloader.dataset.data_prefix == dict(
        img_path='img_dir', seg_map_path='ann_dir', normal_path='normal_dir'
    )
    assert sum('save_counts' in evaluator for evaluator in cfg.test_evaluator) == 1
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    with pytest.raises(ValueError, match='RepeatDataset; folds need a dataset with data_prefix'):
        hold_out(*lists[0])(cfg)
    with pytest.raises(ValueError, match='--folds 1: expected at least 2'):
        folds(StudyOptions(data=root, project='p', work_dir=tmp_path, folds=1))


def test_a_pooled_point_survives_json():
    point = dict(threshold=None, found=0.0, interval=None, false_alarms=0.0, defects=3)
    absent = dict(threshold=0.5, found=None, interval=None, false_alarms=0.0, defects=0)
    known = dict(threshold=0.25, found=75.0, interval=[60.0, 90.0], false_alarms=0.05, defects=40)
    content = dict(target=0.1, folds=5, images=50, classes=dict(a=point, b=absent, c=known))
    pooled = PooledPoint.from_json(json.loads(json.dumps(content)))
    assert json.loads(json.dumps(pooled.to_json())) == content
    (sentence,) = pooled.sentences()
    assert 'a: never marked' in sentence and 'b: no defect' in sentence
    assert 'c: 75.0 % of 40 defects found (60.0 to 90.0) at p ≥ 0.25, 0.05 false alarms per image' in sentence
