"""``wtaseg study pays``: rows, doses, differences with intervals, and the answer in words."""

import json
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from recorded_project import metrics_of, write_run
from study_helpers import brighten_defects, made_up_results, write_blades

from mmseg.evaluation.inspection.levels import LEVELS
from mmseg.evaluation.inspection.matching import Rule
from mmseg.evaluation.inspection.pooling import COUNTS_FILE, SweepCounts
from mmseg.registry import DATASETS
from wtaseg.cli.study import main
from wtaseg.report.summary import Marking
from wtaseg.runs import pool
from wtaseg.runs.layout import ProjectLayout
from wtaseg.studies.bootstrap import compare
from wtaseg.studies.catalogue import define
from wtaseg.studies.collecting import compare_rows
from wtaseg.studies.cost import estimate
from wtaseg.studies.paired import Comparison, Difference, PairedDifferences
from wtaseg.studies.pays import ALL, COPIED, ORIGINAL, PASTE, PLANTED, PROPOSED
from wtaseg.studies.results import StudyResults, load
from wtaseg.studies.spec import FAST_SCNN, StudyOptions
from wtaseg.studies.verdict import verdict

NAMES = ('attached', 'broken')
IMAGES = 24


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Six images, and the four datasets with added ones, six each."""
    blades = write_blades(tmp_path_factory.mktemp('data') / 'blades', (6, 1, 1), 16)
    edited = brighten_defects(blades, 'peeling')
    for ending in ('aug_peeling_proposed', 'paste', 'plant_peeling'):
        edited.rename(blades.with_name(f'blades_{ending}'))
        brighten_defects(blades, 'peeling')
    return blades


def options(data, tmp_path, **more):
    return StudyOptions(data=data, project='p', work_dir=tmp_path, **more)


def counts(share: float, seed: int, images: int = IMAGES) -> SweepCounts:
    """Counts in which about ``share`` of the pixels and of the defects are found; the images are always the same."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    defects = fixed.integers(1, 4, (2, images))
    labelled = fixed.integers(50, 200, (2, images))
    both = np.rint(labelled * np.clip(share + rng.normal(0, 0.03, labelled.shape), 0, 1)).astype(int)
    found = np.rint(defects * share).astype(int)[..., None] * (np.arange(LEVELS) < 200)
    alarms = fixed.integers(0, 4, (2, images))[..., None] * (np.arange(LEVELS) < 100)
    return SweepCounts(NAMES, Rule(), found, alarms, defects, np.stack([both, both + 20, labelled], axis=-1))


def build(cfg: Config):
    """The training dataset of a config, in the scope that a training has."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(cfg.train_dataloader.dataset)


# --------------------------------------------------------------------------- rows


def test_rows_train_on_the_originals_and_a_dose_of_added_images(data, tmp_path):
    study = define('pays', options(data, tmp_path))
    assert [(row.group, row.label) for row in study.rows] == [
        ('Dose 0', ORIGINAL),
        *(('Dose 1', label) for label in (PASTE, COPIED, PROPOSED, PLANTED, ALL)),
    ]
    base = Config.fromfile(StudyOptions().configs / f'{FAST_SCNN}.py')
    built = {}
    for row in study.rows:
        cfg = deepcopy(base)
        cfg.train_dataloader.dataset.data_root = str(data)
        row.experiment.override(cfg)
        assert any(evaluator.get('save_counts') for evaluator in cfg.test_evaluator)
        built[row.label] = build(cfg)
    assert {label: len(dataset) for label, dataset in built.items()} == {
        ORIGINAL: 6,
        **dict.fromkeys((PASTE, COPIED, PROPOSED, PLANTED), 12),
        ALL: 24,
    }
    paths = [built[ALL].get_data_info(i)['img_path'] for i in range(24)]
    assert sum('blades_paste/' in path for path in paths) == 6 and len(set(paths)) == 24
    assert len({row.experiment.name for row in study.rows}) == 6


@pytest.mark.parametrize(('dose', 'added', 'different'), [(0.5, 3, 3), (2, 12, 6), (1.5, 9, 6)])
def test_a_dose_repeats_images_where_there_are_not_enough(data, tmp_path, dose, added, different):
    from wtaseg.studies.pays import dose_size, find_additions, make_row

    chosen = options(data, tmp_path)
    additions = find_additions(chosen)
    row = make_row(chosen, PLANTED, dose, additions, dose_size(chosen, additions))
    cfg = Config.fromfile(StudyOptions().configs / f'{FAST_SCNN}.py')
    cfg.train_dataloader.dataset.data_root = str(data)
    row.experiment.override(cfg)
    dataset = build(cfg)
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    planted = [path for path in paths if 'blades_plant_peeling' in path]
    assert len(paths) == 6 + added and len(set(planted)) == different


def test_missing_datasets_are_named_with_the_command_that_makes_them(data, tmp_path):
    elsewhere = write_blades(tmp_path / 'other', (2, 1, 1), 16)
    with pytest.raises(
        FileNotFoundError, match=r'other_paste/img_dir/train does not exist.*--mode paste --ratio 1'
    ):
        define('pays', options(elsewhere, tmp_path))
    brighten_defects(elsewhere, 'peeling')
    with pytest.raises(
        FileNotFoundError, match=r'wta-seg relabel .*other_aug_peeling --out .*_aug_peeling_proposed'
    ):
        define('pays', options(elsewhere, tmp_path, only=(PROPOSED,)))
    study = define('pays', options(elsewhere, tmp_path, only=(COPIED,)))
    assert [row.label for row in study.rows] == [ORIGINAL, COPIED]


def test_labels_that_are_not_what_their_row_says_are_refused(tmp_path):
    from edited_dataset import make_edited_dataset

    from wtaseg.relabel.command import relabel
    from wtaseg.relabel.options import ProposalOptions
    from wtaseg.studies.pays import check_labels

    root = make_edited_dataset(tmp_path / 'x_aug_rust', grown=2)
    check_labels(root, COPIED)
    with pytest.raises(ValueError, match='no label is relabelled; run wta-seg relabel'):
        check_labels(root, PROPOSED)
    relabel(root, ProposalOptions(), sheet_rows=0)
    check_labels(root, PROPOSED)
    with pytest.raises(
        ValueError, match='3 of 3 labels are relabelled, the row "Edits, copied labels" needs copies'
    ):
        check_labels(root, COPIED)


# --------------------------------------------------------------------------- differences


def test_differences_are_those_of_the_sums_over_the_images():
    rows = {'a': [counts(0.5, 1), counts(0.52, 2)], 'b': [counts(0.7, 3), counts(0.71, 4)]}
    differences = compare(rows, [('b', 'a'), ('a', 'a')], target=0.1)
    one = differences.find('b', 'a').differences

    def iou(run, index):
        both, predicted, labelled = run.pixels[index].sum(0)
        return 100 * both / (predicted + labelled - both)

    expected = np.mean([iou(b, 0) - iou(a, 0) for a, b in zip(rows['a'], rows['b'])])
    assert one['Attached IoU'].mean == pytest.approx(expected)
    assert one['mIoU'].mean == pytest.approx((one['Attached IoU'].mean + one['Broken IoU'].mean) / 2)
    assert one['mIoU'].higher and one['mIoU'].low < one['mIoU'].mean < one['mIoU'].high
    same = differences.find('a', 'a').differences
    assert all(d.mean == d.low == d.high == 0 for d in same.values())
    assert (differences.images, differences.seeds) == (IMAGES, 2)
    # from threshold 100 on there are no false alarms, and up to 199 all that can be found is found
    shares = {
        row: np.mean([run.found[0, :, 150].sum() / run.defects[0].sum() for run in rows[row]]) for row in 'ab'
    }
    assert one['Attached recall at 0.1 FA/image'].mean == pytest.approx(100 * (shares['b'] - shares['a']))


def test_intervals_cover_a_difference_of_zero_about_as_often_as_they_say():
    covered = 0
    for trial in range(15):
        rows = {
            name: [counts(0.5, 1000 + 10 * trial + 3 * place + seed) for seed in range(3)]
            for place, name in enumerate('ab')
        }
        difference = compare(rows, [('a', 'b')], 0.1, seed=trial).comparisons[0].differences['mIoU']
        covered += not (difference.higher or difference.lower)
    assert covered >= 10  # with three seeds somewhat less than 95 %


def test_what_can_not_be_paired_is_refused():
    good = counts(0.5, 1)
    with pytest.raises(ValueError, match='tested on different images'):
        compare({'a': [good], 'b': [counts(0.5, 1, images=5)]}, [('a', 'b')], 0.1)
    with pytest.raises(ValueError, match='no counts of pixels'):
        compare({'a': [good], 'b': [replace(good, pixels=None)]}, [('a', 'b')], 0.1)


def test_a_class_without_defects_has_no_difference():
    run = counts(0.5, 1)
    defects, pixels = run.defects.copy(), run.pixels.copy()
    defects[1], pixels[1] = 0, 0
    run = replace(run, defects=defects, pixels=pixels, found=run.found * [[[1]], [[0]]])
    differences = compare({'a': [run], 'b': [run]}, [('a', 'b')], 0.1).comparisons[0].differences
    assert differences['Broken IoU'].mean is None and str(differences['Broken IoU']) == '–'
    assert differences['mIoU'].mean == 0


# --------------------------------------------------------------------------- words


def study_of(differences: dict[tuple[str, str], tuple[float, float, float]], more=()):
    """A study with rows of these differences of mIoU from the originals, and the differences of pairs of rows."""
    rows = {('Dose 0', ORIGINAL): [], **{key: [] for key in differences}}
    study = made_up_results(rows, Marking.AGAINST_FIRST, 'pays').studies['pays']
    comparisons = [
        Comparison(
            ' · '.join(key),
            f'Dose 0 · {ORIGINAL}',
            {'mIoU': Difference(*values), 'Broken IoU': Difference(0, -1, 1)},
        )
        for key, values in differences.items()
    ]
    comparisons += [Comparison(row, against, {'mIoU': Difference(*values)}) for row, against, values in more]
    return study, PairedDifferences(0.1, 20, 3, 1000, tuple(comparisons))


def test_the_answer_is_no_where_nothing_helps():
    sentences = verdict(
        *study_of({('Dose 1', PASTE): (1.0, -1.0, 3.0), ('Dose 1', PLANTED): (-2.0, -3.0, -1.0)})
    )
    assert sentences[0].startswith('Leave it: no added images raise mIoU')
    assert 'Dose 1 · Paste with +1.00 (-1.00 to +3.00)' in sentences[0] and 'More seeds' in sentences[0]
    assert 'Dose 1 · Planted: lowers mIoU' in sentences[2]
    assert verdict(study_of({})[0], None) == [
        'There are no differences yet: they need the tests of all runs.'
    ]


def test_the_smallest_dose_that_is_as_good_is_advised():
    doses = {
        ('Dose 1', PLANTED): (3.0, 1.0, 5.0),
        ('Dose 0.5', PLANTED): (1.0, 0.2, 2.0),
        ('Dose 2', PLANTED): (3.2, 1.0, 5.0),
    }
    pairs = [
        ('Dose 1 · Planted', 'Dose 0.5 · Planted', (2.0, 0.5, 3.0)),
        ('Dose 2 · Planted', 'Dose 1 · Planted', (0.2, -1.0, 1.0)),
    ]
    sentences = verdict(*study_of(doses, pairs))
    assert sentences[0].startswith('Use it: Planted, dose 1, raises mIoU by +3.00')
    assert 'Dose 2 has +3.20' in sentences[0]
    assert (
        'Dose 1 · Planted against Dose 0.5 · Planted: dose 1 is better; mIoU +2.00 (+0.50 to +3.00).'
        in sentences
    )
    pairs[0] = (*pairs[0][:2], (2.0, -0.5, 3.0))
    assert verdict(*study_of(doses, pairs))[0].startswith('Use it: Planted, dose 0.5,')


def test_a_row_that_lowers_a_class_is_not_advised():
    study, paired = study_of({('Dose 1', COPIED): (3.0, 1.0, 5.0)})
    comparison = paired.comparisons[0]
    worse = replace(comparison, differences={**comparison.differences, 'Broken IoU': Difference(-2, -3, -1)})
    sentences = verdict(study, replace(paired, comparisons=(worse,)))
    assert sentences[0].startswith('Leave it') and 'raises mIoU and lowers Broken IoU' in sentences[1]


# --------------------------------------------------------------------------- the command


def test_a_rehearsal_with_made_up_runs(data, tmp_path, monkeypatch, capsys):
    quality = {'counted': 0.5, 'paste': 0.52, 'copied': 0.5, 'proposed': 0.55, 'planted': 0.7, 'all': 0.6}
    trained = []

    def run_pool(experiments, *_, **__):
        for number, experiment in enumerate(experiments):
            key = next(key for key in quality if key in experiment.name)
            share = quality[key]
            trained.append(experiment.name)
            scores = metrics_of([99, 100 * share, 90 * share], [99, 60, 60]) | {
                'foreground_mIoU': 100 * share
            }
            if (tmp_path / 'p/exp' / experiment.name).exists():
                continue
            folder = write_run(tmp_path / 'p', experiment.name, scores, {4: scores})
            counts(share, number).save(folder / 'test/20250101_010000' / COUNTS_FILE)
            state = tmp_path / 'p/job' / experiment.name / 'state.json'
            state.parent.mkdir(parents=True)
            metrics = 'test/20250101_010000/20250101_010000.json'
            state.write_text(json.dumps({'metrics': metrics, 'checkpoint': 'c', 'error': None}))
        return pool.PoolResult((), False)

    monkeypatch.setattr('wtaseg.studies.command.pool.run_pool', run_pool)
    monkeypatch.setattr('wtaseg.studies.report.draw_images', lambda *_: [])
    step = SimpleNamespace(whole_ms=60.0, device='GPU X')
    monkeypatch.setattr('wtaseg.bench.step.measure', lambda *_, **__: step)
    command = ['pays', '--data', str(data), '--project', 'p', '--work-dir', str(tmp_path), '--iters', '1000']
    assert main(command) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    # six rows and two doses with three seeds each, a minute per run
    assert 'Cost: 24 runs of 1000 iterations: about 24 GPU minutes' in printed.partition('##')[0]
    assert len(trained) == 24 and sum('planted-x0.5' in name for name in trained) == 3
    results = load(tmp_path / 'p/report/results.json')
    assert StudyResults.from_json(json.loads(json.dumps(results.to_json()))) == results
    paired = results.paired['pays']
    assert (paired.seeds, paired.images, len(paired.comparisons)) == (3, IMAGES, 7 + 2 + 2)
    assert paired.find('Dose 1 · Planted', f'Dose 0 · {ORIGINAL}').differences['mIoU'].higher
    for report in ('pays.md', 'pays.html'):
        text = (tmp_path / 'p/report' / report).read_text()
        assert 'Use it: Planted, dose' in text and 'Attached recall at 0.1 FA/image' in text
    assert 'editing planted defects is better than pasting' in (tmp_path / 'p/report/pays.md').read_text()
    # again, nothing changes, and the cost is that of the finished runs
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert 'Cost: 24 runs of 1000 iterations, 0 left to do: about 0' in printed, printed[:400]
    assert len(trained) == 48
    again = load(tmp_path / 'p/report/results.json')
    assert (again.paired, again.studies['pays'].rows) == (results.paired, results.studies['pays'].rows)


def test_other_studies_have_differences_where_their_tests_have_counts(tmp_path):
    rows = {('A', 'w/ Augmented'): 0.6, ('A', 'Original'): 0.5, ('B', 'w/o'): 0.5, ('B', 'w/'): 0.4}
    seeds = [(50, 50, 50, 50), None]  # the second one is not done
    results = made_up_results(dict.fromkeys(rows, seeds), Marking.BEST_IN_GROUP, 'final')
    project = ProjectLayout.named('p', tmp_path)
    for number, (row, share) in enumerate(zip(results.studies['final'].rows, rows.values())):
        layout = project.run(row.runs[0])
        counts(share, number).save(layout.exp / 'test' / COUNTS_FILE)
        layout.job.mkdir(parents=True)
        (layout.job / 'state.json').write_text(json.dumps({'metrics': 'test/metrics.json'}))
    compare_rows(results, project)
    comparisons = results.paired['final'].comparisons
    assert results.paired['final'].seeds == 1
    assert [(one.row, one.against) for one in comparisons] == [
        ('A · w/ Augmented', 'A · Original'),
        ('B · w/', 'B · w/o'),
    ]
    assert comparisons[0].differences['mIoU'].higher and comparisons[1].differences['mIoU'].lower
    for file in tmp_path.rglob(COUNTS_FILE):
        file.unlink()
    compare_rows(results, project)
    assert results.paired == {}


def test_the_cost_is_that_of_finished_runs_where_there_are_any(tmp_path):
    results = made_up_results({('Dose 0', ORIGINAL): [(1, 2, 3, 4), None]}, Marking.AGAINST_FIRST, 'pays')
    config = tmp_path / 'a.py'
    config.write_text("train_cfg = dict(type='IterBasedTrainLoop', max_iters=600)\n")
    cost = estimate(config, results.studies['pays'].run_names, results)
    assert (cost.runs, cost.done, cost.seconds, cost.minutes) == (2, 1, 0.1, pytest.approx(1))
    assert 'as in the finished runs' in str(cost)
    config.write_text("train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=6)\n")
    with pytest.raises(ValueError, match='counts epochs'):
        estimate(config, [], results)
