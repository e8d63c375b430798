"""The datasets and configs of studies, and wrong arguments."""

import dataclasses
import json
import os
import subprocess

import pytest
import torch
from mmengine.config import Config
from recorded_project import metrics_of, write_run
from study_helpers import ROOT, brighten_defects, write_blades

from mmseg.registry import MODELS
from wtaseg.cli import make_app
from wtaseg.cli.study import command as study_command
from wtaseg.cli.study import main
from wtaseg.relabel.twins import LABELS, twins_root
from wtaseg.runs.describe import describe_run
from wtaseg.runs.records import ClassScore, read_run
from wtaseg.studies.catalogue import define
from wtaseg.studies.command import StudyCommand
from wtaseg.studies.configs import CommonSettings, build, write_configs
from wtaseg.studies.datasets import image_names, write_ratio_list
from wtaseg.studies.results import StudyRun
from wtaseg.studies.spec import FAST_SCNN, StudyOptions


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    blades = write_blades(tmp_path_factory.mktemp('data') / 'blades', (5, 1, 1), 16)
    brighten_defects(blades, 'peeling')
    return blades


def options(data, tmp_path, **more):
    return StudyOptions(data=data, project='p', work_dir=tmp_path, **more)


def test_ratio_lists_hold_all_originals_and_grow(data, tmp_path):
    root = data.with_name('blades_aug_peeling')
    lists = {}
    for percent in (20, 40, 60, 100):
        lists[percent] = write_ratio_list(data, root, percent, tmp_path).read_text().split()
    originals = set(image_names(data))
    assert all(originals <= set(names) for names in lists.values())
    assert [len(names) for names in lists.values()] == [6, 7, 8, 10]
    assert set(lists[20]) < set(lists[40]) < set(lists[60]) < set(lists[100])
    assert lists[40] == write_ratio_list(data, root, 40, tmp_path / 'again').read_text().split()
    with pytest.raises(ValueError, match=r'lacks 5 of the original images.*train0'):
        write_ratio_list(root, data, 20, tmp_path)


def test_missing_edited_images_are_named_with_the_command_that_makes_them(data, tmp_path, capsys):
    with pytest.raises(
        FileNotFoundError, match=r'blades_aug_blistering/img_dir/train does not exist'
    ) as caught:
        define('words', options(data, tmp_path))
    assert f'python augment/run.py --data {data} --word blistering' in str(caught.value)
    with pytest.raises(ValueError, match=r'--not-relabelled DIR'):
        define('relabel', options(data, tmp_path))
    command = ['words', '--data', str(data), '--project', 'p', '--work-dir', str(tmp_path)]
    assert main(command) == 2 and '--word blistering' in capsys.readouterr().err


def test_missing_experiments_are_named(data, tmp_path):
    folder = tmp_path / 'configs/fastscnn'
    folder.mkdir(parents=True)
    (folder / 'fast_scnn_4xb4-40k_wta-512x512.py').write_text(f"_base_ = '{ROOT}/configs/{FAST_SCNN}.py'\n")
    with pytest.raises(FileNotFoundError, match=r'gcnet/\*_wta-512x512\.py matches no file: .*GCNet'):
        define('final', options(data, tmp_path, config_root=tmp_path / 'configs'))
    only = options(data, tmp_path, config_root=tmp_path / 'configs', only=('Fast-SCNN',))
    assert [row.label for row in define('loss_aug', only).rows] == [
        'FocalLoss w/o aug.',
        'CrossEntropyLoss w/ Peeling aug.',
        'FocalLoss w/ Peeling aug.',
    ]
    with pytest.raises(ValueError, match='--only: Nothing names no row'):
        define('losses', options(data, tmp_path, only=('Nothing',)))


def test_configs_stand_alone_and_differ_in_what_the_row_says(data, tmp_path):
    studies = [define(name, options(data, tmp_path)) for name in ('losses', 'gamma', 'imbalance', 'ratio')]
    common = CommonSettings(data, iterations=100, validations=4, workers=0)
    records = write_configs(studies, ROOT / 'configs', tmp_path / 'c', common)
    # 6 losses, 3 more gammas, 6 more remedies, 5 shares
    assert len(records) == 20
    assert records[FAST_SCNN].changes == ()
    configs = {name: Config.fromfile(tmp_path / f'c/{name}.py') for name in records}
    for name, cfg in configs.items():
        assert cfg.train_cfg.max_iters == 100 and cfg.train_cfg.val_interval == 25, name
        # a warm-up of 1,000 of 40,000 iterations
        assert [(s.begin, s.end) for s in cfg.param_scheduler] == [(0, 2), (2, 100)]
        weights = [head.loss_decode for head in (cfg.model.decode_head, *cfg.model.auxiliary_head)]
        weights = [part[0] if isinstance(part, list) else part for part in weights]
        assert [loss.loss_weight for loss in weights] == [1.0, 0.4, 0.4], name
        parts = cfg.model.decode_head.loss_decode
        for part in parts if isinstance(parts, list) else [parts]:
            assert isinstance(MODELS.build(part), torch.nn.Module), name
        assert cfg.test_dataloader.dataset.data_root == str(data)
    gamma = configs[f'{FAST_SCNN}-gamma0.5'].model.decode_head.loss_decode
    assert gamma.gamma == 0.5 and gamma.alpha == [0.1, 0.3, 0.6]
    pasted = configs[f'{FAST_SCNN}-copy_paste'].train_dataloader.dataset
    assert [step.type for step in pasted.dataset.pipeline] == ['LoadImageFromFile', 'LoadAnnotations']
    assert pasted.pipeline[0].type == 'CopyPasteDefects' and pasted.pipeline[-1].type == 'PackSegInputs'
    rare = configs[f'{FAST_SCNN}-rare_class'].train_dataloader.dataset
    assert 'RareClassCrop' in [step.type for step in rare.dataset.pipeline]
    assert configs[f'{FAST_SCNN}-ohem'].model.auxiliary_head[1].sampler.min_kept == 1000
    shares = configs[f'{FAST_SCNN}-aug_peeling-40'].train_dataloader.dataset
    assert shares.ann_file.endswith('blades_aug_peeling-40.txt') and shares.data_root.endswith('_aug_peeling')
    # what the table of a project says about such a run comes from the config alone
    specs = [describe_run(configs[name], name) for name in (f'{FAST_SCNN}-aug_peeling-40', FAST_SCNN)]
    assert [spec.augmentation for spec in specs] == ['peeling', None]
    assert {spec.model for spec in specs} == {'Fast-SCNN'}
    assert any(
        "type: 'FocalLoss' is now 'TverskyLoss'" in line for line in records[f'{FAST_SCNN}-tversky'].changes
    )


def test_runs_are_ordered_by_seed_or_by_study(data, tmp_path):
    names = {}
    for flag in ([], ['--by-study']):
        chosen = options(
            data, tmp_path, only=('0 %', '100 %', 'Gamma 1', 'Gamma 2'), seeds=2, by_study=bool(flag)
        )
        studies = [define(name, chosen) for name in ('ratio', 'gamma')]
        runs = StudyCommand(chosen, studies).runs()
        names[bool(flag)] = [
            (run.config.removeprefix(f'{FAST_SCNN}').strip('-'), run.name[-1]) for run in runs
        ]
    experiments = ('', 'aug_peeling', 'gamma1')
    assert names[False] == [(name, seed) for seed in '01' for name in experiments]
    assert names[True] == [
        (name, seed) for names in (experiments[:2], experiments[2:]) for seed in '01' for name in names
    ]


def test_twins_share_the_runs_of_the_edits(data, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'wta-seg relabel .*blades_aug_peeling --out .*_aug_peeling_proposed'
    ):
        define('twins', options(data, tmp_path))
    proposed = brighten_defects(data, 'peeling_proposed', 1.1)
    with pytest.raises(FileNotFoundError, match=r'wta-seg bench twins .*blades --word peeling'):
        define('twins', options(data, tmp_path))
    for labels in LABELS:
        brighten_defects(data, 'peeling', 1.2).rename(twins_root(data, 'peeling', labels))
    edits = brighten_defects(data, 'peeling')
    chosen = options(data, tmp_path, only=('Fast-SCNN',), not_relabelled=edits, relabelled=proposed)
    other = dataclasses.replace(chosen, not_relabelled=proposed, relabelled=proposed)
    twins = define('twins', dataclasses.replace(chosen, only=()))
    assert [row.group for row in twins.rows] == ['Original', 'Edits', 'Edits', 'Twins', 'Twins', 'Twins']
    assert [row.experiment for row in define('relabel', chosen).rows] == [
        row.experiment for row in twins.rows[:3]
    ]
    assert define('relabel', other).rows[1].experiment.name == f'{FAST_SCNN}-not-relabelled'
    records = write_configs(
        [twins, define('relabel', chosen)], ROOT / 'configs', tmp_path / 'c', CommonSettings(data)
    )
    assert len(records) == 6
    roots = [
        Config.fromfile(tmp_path / f'c/{name}.py').train_dataloader.dataset.data_root for name in records
    ]
    assert roots == [
        str(path) for path in (data, edits, proposed, *(twins_root(data, 'peeling', k) for k in LABELS))
    ]


def test_intervals_have_every_test_count_each_image(data, tmp_path):
    study = define('gamma', options(data, tmp_path))
    for counts in (True, False):
        write_configs([study], ROOT / 'configs', tmp_path / 'c', CommonSettings(data, counts=counts))
        for row in study.rows:
            cfg = Config.fromfile(tmp_path / f'c/{row.experiment.name}.py')
            assert [bool(one.get('save_counts')) for one in cfg.test_evaluator] == [False, counts]


def test_two_things_of_one_name_are_refused(data, tmp_path):
    study = define('gamma', options(data, tmp_path))
    object.__setattr__(study.rows[1].experiment, 'key', 'gamma5')
    with pytest.raises(ValueError, match='two different experiments are called'):
        write_configs([study], ROOT / 'configs', tmp_path, CommonSettings(data))


def test_iterations_need_a_config_that_counts_them(tmp_path, data):
    epochs = tmp_path / 'configs/net/epochs.py'
    epochs.parent.mkdir(parents=True)
    epochs.write_text(
        f"_base_ = '{ROOT}/configs/{FAST_SCNN}.py'\ntrain_cfg = dict(_delete_=True, max_epochs=3)\n"
    )
    experiment = define('gamma', options(data, tmp_path, model='net/epochs')).rows[3].experiment
    with pytest.raises(ValueError, match='counts epochs'):
        build(tmp_path / 'configs', experiment, CommonSettings(data, iterations=10))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['losses'], '--project is missing'),
        (['--project', 'p'], 'no study given; expected one or more of losses, gamma'),
        (['lossen', '--project', 'p'], "'lossen' is no study"),
        (['losses', '--project', 'p', '--jobs', '0'], '--jobs: 0; expected at least 1'),
        (['losses', '--project', 'p', '--smoke', '--iters', '5'], 'not with --smoke'),
        (['losses', '--project', 'p', '--from', 'x.json'], '--from needs --report-only'),
        (['losses', '--project', 'p', '--data', '/nowhere'], '/nowhere/img_dir/train does not exist'),
        (['--report-only', '--from', '/nowhere.json', '--out', 'x'], '/nowhere.json does not exist'),
    ],
)
def test_wrong_arguments(arguments, message, capsys, tmp_path):
    assert main([*arguments, '--work-dir', str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def parsed(arguments):
    """Options and studies of a command line."""
    _, bound, _ = make_app('study.py', default_command=study_command).parse_args(arguments)
    return bound.arguments['options'], bound.arguments['studies']


def test_options_can_be_typed_again(tmp_path):
    arguments = [
        'losses',
        'gamma',
        '--data',
        'my data',
        '--seeds',
        '3',
        '--smoke',
        '--only',
        'Gamma 2',
        'Dice Loss',
    ]
    arguments += ['--time-limit', '5.5', '--cfg-options', 'a=1', 'b=-2', '--from', 'x.json']
    args, names = parsed(arguments)
    assert args.only == ('Gamma 2', 'Dice Loss') and args.cfg_options == ('a=1', 'b=-2') and args.smoke
    again = dataclasses.replace(args, studies=names)
    assert parsed(again.arguments()) == (args, names)


def test_recipe_calls_the_renderer_and_then_the_studies(tmp_path):
    stub = tmp_path / 'python'
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{tmp_path}/calls"; echo END >> "{tmp_path}/calls"\n')
    stub.chmod(0o755)
    (tmp_path / 'w').mkdir()
    (tmp_path / 'w/edited').touch()  # the images are there
    values = {
        'PYTHON': str(stub),
        'WORK': str(tmp_path / 'w'),
        'TIME_LIMIT': '540',
        'JOBS': '3',
        'ITERS': '50',
    }
    environment = os.environ | values | {'COMMIT': 'c0ffee', 'FINAL': 'PSPNet'}
    script = ['bash', ROOT / 'tools/studies/rendered.sh', 'out dir']
    subprocess.run([*script, 'losses', 'edits', 'final'], check=True, env=environment, cwd=tmp_path)
    _, _, render, *studies, _ = (tmp_path / 'calls').read_text().split('END\n')
    assert render.splitlines()[:4] == ['-m', 'wtaseg', 'render', '--out']
    assert all(study.splitlines()[:3] == ['-m', 'wtaseg', 'study'] for study in studies)
    losses, edits, final = (parsed(study.splitlines()[3:]) for study in studies)
    assert losses[1] == ('losses', 'gamma', 'imbalance') and losses[0].project == 'rendered_studies'
    assert edits[1] == ('pays', 'twins', 'words', 'ratio', 'relabel', 'loss_aug') and edits[0].by_study
    assert final[1] == ('final',) and final[0].only == ('PSPNet',) and final[0].seeds == 1
    for args, _ in (losses, edits, final):
        assert (args.jobs, args.iters, args.commit, args.intervals) == (3, 50, 'c0ffee', True)
        assert 450 < args.time_limit < 540 and 'train_dataloader.batch_size=8' in args.cfg_options
        assert args.bundle == tmp_path / 'w/bundle' / args.project
    assert (tmp_path / 'out dir/log.tgz').is_file()
    result = subprocess.run([*script, 'pays'], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (
        result.returncode == 2
        and 'pays is no part; expected losses, schedule, edits or final' in result.stderr
    )


def test_results_of_other_settings_are_not_passed_off_as_these(tmp_path):
    test = metrics_of([99, 40, 20], [99, 50, 30])
    write_run(tmp_path, 'net/a-seed0', test, {4: test})
    state = tmp_path / 'job/net/a-seed0/state.json'
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({'metrics': 'm', 'checkpoint': 'c', 'error': None}))
    run = StudyRun.of(read_run(tmp_path / 'exp/net/a-seed0'), 0)
    assert run.status == 'done' and run.scores == {
        'attached': ClassScore(40, 50),
        'broken': ClassScore(20, 30),
    }
    assert run.validations[4]['IoU.broken'] == 20 and 'IoU.defect' not in run.validations[4]
    state.write_text(json.dumps({'metrics': 'm', 'checkpoint': 'c', 'error': 'its settings have changed'}))
    run = StudyRun.of(read_run(tmp_path / 'exp/net/a-seed0'), 0)
    assert run.status == 'failed' and not run.scores
