"""What runs are and what they gave, read back from disk without executing anything."""

import json
import shutil

import pytest
from recorded_project import CONFIG, metrics_of, write_log, write_run

from wtaseg.report.project import tabulate
from wtaseg.report.tables import markdown
from wtaseg.runs.describe import describe_run
from wtaseg.runs.layout import RunLayout, find_config
from wtaseg.runs.recorded import UnreadConfigError, read_config
from wtaseg.runs.records import read_project, read_run
from wtaseg.runs.settings import load_config
from wtaseg.runs.spec import RunSpec, read_spec, write_spec

TEST = metrics_of([99, 40, 20], [99, 50, 30])
SPEC = RunSpec(
    name='net/a',
    config='fastscnn/a',
    model='Fast-SCNN',
    dataset='blades',
    augmentation='rust',
    loss='FocalLoss + DiceLoss',
    loss_parameters={'FocalLoss.gamma': 0.5},
    classes=('defect', 'attached', 'broken'),
    palette=((0, 0, 0), (255, 0, 0), (0, 255, 0)),
    seed=3,
    overrides=('randomness.seed=3',),
)


def test_spec_survives_its_file(tmp_path):
    write_spec(SPEC, tmp_path / 'exp/net/a/run.json')
    assert read_spec(tmp_path / 'exp/net/a/run.json') == SPEC
    assert RunSpec.from_json(json.loads(json.dumps(RunSpec('a', 'b', 'c').to_json()))) == RunSpec(
        'a', 'b', 'c'
    )
    assert SPEC.normal_class == 'defect' and SPEC.foreground == ('attached', 'broken')
    assert SPEC.loss_label(parameters=True) == 'FocalLoss γ=0.5 + DiceLoss'


@pytest.mark.parametrize(
    'change, message',
    [
        ({'format': 2}, 'format is 2, expected 1'),
        ({'gamma': 2}, "unknown field 'gamma'"),
        ({'model': None}, "field 'model' is missing"),
    ],
)
def test_spec_of_another_form_is_refused(tmp_path, change, message):
    content = {key: value for key, value in (SPEC.to_json() | change).items() if value is not None}
    (tmp_path / 'run.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        read_spec(tmp_path / 'run.json')
    assert 'run.json' in str(caught.value)


@pytest.mark.parametrize(
    'config, expected',
    [
        ('fastscnn/fast_scnn_4xb4-40k_wta-512x512', ('Fast-SCNN', None, 'FocalLoss', 'wta_512')),
        (
            'vit/vit_deit-b16_mln_upernet_4xb4-40k_wta_aug_peeling-512x512',
            ('ViT', 'peeling', 'FocalLoss', 'wta_512_aug_peeling'),
        ),
        ('fastscnn/fast_scnn_4xb4-40k_wta-ce-512x512', ('Fast-SCNN', None, 'CrossEntropyLoss', 'wta_512')),
        (
            'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-40k_final_relabeled-512x512',
            ('DeepLabV3+', '', 'FocalLoss', 'final_relabeled_ori_aug_only_junhyung_label_re_val_re_test'),
        ),
    ],
)
def test_spec_comes_from_the_config(config, expected):
    spec = describe_run(load_config(find_config(config), ['randomness.seed=7']), 'any/name', config)
    assert (spec.model, spec.augmentation, spec.loss, spec.dataset) == expected
    assert spec.classes == ('defect', 'attached', 'broken') and spec.seed == 7
    assert spec.palette == ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    assert spec.loss_parameters.get('gamma') == (2.0 if spec.loss == 'FocalLoss' else None)


def test_manifest_of_the_edited_images_comes_before_the_config(tmp_path):
    rows = [{'kind': 'original', 'accepted': True}, {'kind': 'edit', 'word': 'dent', 'accepted': True}]
    rows.append({'kind': 'edit', 'word': 'rust', 'accepted': False})
    (tmp_path / 'manifest.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    dataset = {'type': 'RareClassDataset', 'dataset': {'data_root': str(tmp_path)}}
    config = {'augmentation': 'peeling', 'train_dataloader': {'dataset': dataset}}
    assert describe_run(config, 'a').augmentation == 'dent'
    with (tmp_path / 'manifest.jsonl').open('a') as file:
        file.write(json.dumps(rows[2] | {'accepted': True}) + '\n')
    assert describe_run(config, 'a').augmentation == ''


def test_classes_may_stand_in_the_config():
    dataset = {
        'type': 'WTADataset',
        'metainfo': {'classes': ('sound', 'cracked'), 'palette': [[1, 2, 3], [4, 5, 6]]},
    }
    spec = describe_run({'train_dataloader': {'dataset': dataset}}, 'net/a')
    assert spec.classes == ('sound', 'cracked') and spec.palette == ((1, 2, 3), (4, 5, 6))


def test_renaming_folders_does_not_change_the_table(tmp_path):
    for name, model, augmentation in (
        ('net/a', 'My Net', None),
        ('net/a_aug_rust', 'My Net', 'rust'),
        ('net/b', 'My Net', None),
        ('other/a', 'Other Net', None),
    ):
        path = write_run(tmp_path, name, TEST)
        spec = RunSpec(name, 'net/a', model, augmentation=augmentation, classes=SPEC.classes)
        write_spec(spec, path / 'run.json')
    before = markdown(tabulate(read_project(tmp_path)))
    assert '| **My Net** | net/a_aug_rust |' in before and '| **Other Net** | other/a |' in before
    (tmp_path / 'exp/net/a_aug_rust').rename(tmp_path / 'exp/net/0')
    (tmp_path / 'exp/net/a').rename(tmp_path / 'exp/net/z_aug_dent')
    (tmp_path / 'exp/net').rename(tmp_path / 'exp/z')
    assert markdown(tabulate(read_project(tmp_path))) == before
    assert [run.name for run in read_project(tmp_path)] == ['z/z_aug_dent', 'z/0', 'z/b', 'other/a']


def test_the_normal_class_is_known_by_name_not_by_place(tmp_path):
    path = write_run(tmp_path, 'net/a', dict(reversed(TEST.items())))
    for spec in (SPEC, RunSpec('net/a', '', 'Net', classes=('broken', 'attached', 'defect'))):
        write_spec(spec, path / 'run.json')
        run = read_run(path)
        assert tuple(run.scores) == spec.classes and tuple(run.foreground) == spec.classes[1:]
    assert run.foreground_miou == (40 + 99) / 2


def test_plain_work_folder_of_mmsegmentation_is_read(tmp_path):
    """A training, resumed once, and a test in one work folder, as mmsegmentation's tools write them."""
    folder = tmp_path / 'work_dirs/fcn_unet'
    config = CONFIG.format(
        backbone='UNet', head='UPerHead', loss="dict(type='DiceLoss')", data='data/x_aug_dent'
    )
    for time, rows in (('20250101_000000', {2: TEST}), ('20250101_010000', {4: TEST | {'mIoU': 1.0}})):
        write_log(folder / time / 'vis_data' / f'{time}.json', rows)
        shutil.copy(folder / time / 'vis_data' / f'{time}.json', folder / time / 'vis_data/scalars.json')
        (folder / time / 'vis_data/config.py').write_text(config)
    test = folder / '20250101_020000/20250101_020000.json'
    test.parent.mkdir()
    test.write_text(json.dumps(TEST | {'data_time': 0.1, 'time': 0.2}))
    for place in (folder, folder.parent):
        (run,) = read_project(place)
        assert run.name == 'fcn_unet' and run.status == 'done' and run.unread is None
        assert (run.spec.model, run.spec.loss, run.spec.augmentation) == ('UPerNet', 'DiceLoss', 'dent')
        assert list(run.validations) == [2, 4] and run.validations[4]['mIoU'] == 1.0
        assert run.foreground_miou == 30 and run.spec.normal_class == 'defect'
    assert '| **UPerNet** | w/ Augmented | 40.00 | 50.00 | 20.00 | 30.00 |' in markdown(tabulate([run]))


CODE = (
    '__import__("os").system("touch {}")\n',
    'import os\nos.system("touch {}")\n',
    'x = [__import__("os").system("touch {}")]\n',
    "x = dict(a=f\"{{__import__('pathlib').Path('{}').touch()}}\")\n",
    'def dict(*_, **__):\n    __import__("pathlib").Path("{}").touch()\nx = dict(a=1)\n',
)


@pytest.mark.parametrize('code', CODE)
def test_reading_results_executes_nothing(tmp_path, code):
    path = write_run(tmp_path, 'dir/x', TEST, {2: TEST})
    trap = tmp_path / 'executed'
    file = path / 'train/20250101_000000/vis_data/config.py'
    file.write_text(file.read_text() + code.format(trap))
    (run,) = read_project(tmp_path)
    assert not trap.exists()
    assert (run.spec.model, run.spec.loss, run.foreground_miou) == ('dir', '', 30)
    assert 'config.py:' in run.unread and '--trust' in run.unread
    assert '| **dir** | ? | 40.00 |' in markdown(tabulate([run]))
    with pytest.raises(UnreadConfigError):
        _ = run.test_config
    assert not trap.exists()


def test_trusted_configs_are_executed(tmp_path):
    path = write_run(tmp_path, 'dir/x', TEST)
    file = path / 'train/20250101_000000/vis_data/config.py'
    file.write_text(file.read_text() + 'model["backbone"]["type"] = "BiSeNetV1"\n')
    assert read_project(tmp_path)[0].spec.model == 'dir'
    assert read_project(tmp_path, trust=True)[0].spec.model == 'BiSeNetV1'


def test_a_config_as_mmengine_records_it_is_read_whole(tmp_path):
    config = load_config(find_config('vit/vit_deit-b16_mln_upernet_4xb4-40k_wta-512x512'))
    config.merge_from_dict({'odd': {'a b': -1.5, 'c': [{'d-e': (1, None)}, 'f']}, 'far': float('inf')})
    config.dump(tmp_path / 'config.py')
    assert read_config(tmp_path / 'config.py') == config.to_dict()


def test_state_of_the_job_says_how_a_run_stands(tmp_path):
    assert read_run(tmp_path / 'exp/net/a').status == 'missing'
    path = write_run(tmp_path, 'net/a', None, {2: TEST})
    assert read_run(path).status == 'unfinished'
    layout = RunLayout(tmp_path, 'net/a')
    layout.job.mkdir(parents=True)
    for state, status in (
        ({'error': 'out of memory', 'seconds': 5.5}, 'failed'),
        ({'error': None, 'seconds': 7.5, 'checkpoint': 'train/ckpt/iter_2.pth'}, 'unfinished'),
    ):
        layout.state.write_text(json.dumps(state))
        run = read_run(path)
        assert (run.status, run.error, run.seconds) == (status, state['error'], state['seconds'])
    assert run.checkpoint == 'train/ckpt/iter_2.pth' and run.iteration_seconds is None
    layout.state.write_text('{')
    with pytest.raises(ValueError, match=r'state\.json is not JSON'):
        read_run(path)


def test_a_truncated_result_of_a_killed_test_is_skipped(tmp_path, capsys):
    path = write_run(tmp_path, 'net/a', TEST)
    later = path / 'test/20250102_000000/20250102_000000.json'
    later.parent.mkdir()
    later.write_text('{"IoU.defect": 9')
    assert read_run(path).foreground_miou == 30
    assert f'{later}: not complete JSON' in capsys.readouterr().err


def test_scores_are_those_that_the_job_recorded(tmp_path):
    path = write_run(tmp_path, 'net/a', TEST)
    later = path / 'test/20250102_000000/20250102_000000.json'
    later.parent.mkdir()
    later.write_text(json.dumps(TEST | {'IoU.broken': 60}))
    assert read_run(path).foreground_miou == 50
    layout = RunLayout(tmp_path, 'net/a')
    layout.job.mkdir(parents=True)
    layout.state.write_text(json.dumps({'metrics': 'test/20250101_010000/20250101_010000.json'}))
    assert read_run(path).foreground_miou == 30


@pytest.mark.parametrize('key', ['checkpoint', 'metrics'])
@pytest.mark.parametrize('name', ['../../../secret.json', '/etc/hostname', 7])
def test_a_state_that_points_outside_the_run_is_refused(tmp_path, key, name):
    write_run(tmp_path / 'p', 'net/a', test=TEST)
    state = RunLayout(tmp_path / 'p', 'net/a').state
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({key: name}))
    with pytest.raises(ValueError, match=r'state\.json: the path ') as refusal:
        read_run(tmp_path / 'p/exp/net/a')
    assert repr(name) in str(refusal.value)
    state.write_text('[]')
    with pytest.raises(ValueError, match=r'state\.json holds a list'):
        read_run(tmp_path / 'p/exp/net/a')
