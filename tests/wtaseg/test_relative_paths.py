"""Relative paths count from the current folder, also where the package is imported from a clone elsewhere."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_project import write_run
from study_helpers import ROOT, made_up_results, write_blades

from wtaseg.cli import main
from wtaseg.cli.study import main as study
from wtaseg.new.new import NewDataset
from wtaseg.new.sources import LabelOptions
from wtaseg.report.summary import Marking
from wtaseg.runs import execute
from wtaseg.runs.layout import relative_to_base
from wtaseg.runs.records import read_run
from wtaseg.runs.spec import RunSpec, read_spec, write_spec
from wtaseg.studies.results import save

NAME = 'fastscnn/fast_scnn_4xb4-40k_wta-512x512'
BATCH = ['batch', '--project', 'p', '--gpus', '1', '--candidates', NAME, '--smoke']


def started(folder: Path, *words) -> subprocess.CompletedProcess:
    """A Python program run in a folder, with the packages of the clone on its path, as an editable install has them."""
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.slow
def test_batch_trains_on_data_of_the_current_folder_and_can_be_moved(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    here = tmp_path / 'here'
    write_blades(here / 'data/mine', counts=(4, 2, 2))
    monkeypatch.chdir(here)
    status = main([*BATCH, '--data', 'data/mine', '--cfg-options', 'randomness.seed=1'])
    printed = capfd.readouterr()
    assert status == 0, printed
    assert '2 images in' in printed.out
    run = here / 'work_dirs/p/exp' / NAME
    assert (run / 'train/ckpt/iter_4.pth').is_file() and (run / 'test/test1.png').is_file()
    spec = read_spec(run / 'run.json')
    assert (spec.dataset, spec.base, spec.overrides) == ('mine', '../..', ('randomness.seed=1',))
    assert sorted(path.name for path in here.iterdir()) == ['data', 'work_dirs']

    # moved with its data, and read from another folder
    moved = here.rename(tmp_path / 'moved')
    monkeypatch.chdir(tmp_path)
    assert main(['report', 'moved/work_dirs/p', '--count', '2']) == 0
    assert len(list((moved / 'work_dirs/p/overlays').glob('test*.png'))) == 2

    # where it was moved to, the same data are no change; others are
    monkeypatch.chdir(moved)
    words = [*BATCH, '--cfg-options', 'randomness.seed=1', '--data']
    capfd.readouterr()
    assert main([*words, str(moved / 'data/mine')]) == 0
    assert '0 done, 1 skipped, 0 failed' in capfd.readouterr().out
    write_blades(moved / 'data/other', counts=(1, 1, 1))
    assert main([*words, 'data/other']) == 1
    expected = "train_dataloader.dataset.data_root: 'data/mine' is now 'data/other'"
    assert expected in capfd.readouterr().out


def test_data_of_batch_must_have_every_split(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*BATCH, '--data', 'nowhere']) == 1
    assert f'--data: {tmp_path}/nowhere is not a folder' in capsys.readouterr().err
    write_blades(tmp_path / 'mine', counts=(1, 1, 0))
    assert main([*BATCH, '--data', 'mine']) == 1
    assert 'img_dir/test does not exist, which the test split needs' in capsys.readouterr().out
    assert not (tmp_path / 'work_dirs/p/exp').exists()


def test_demo_has_data_and_results_in_the_current_folder(tmp_path, monkeypatch):
    folders = []

    def fail(command, log, cwd, context, keep_open) -> int:
        root = next(
            word.partition('=')[2] for word in command if 'train_dataloader.dataset.data_root' in word
        )
        folders.append(cwd / root)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text('no training today')
        return 1

    monkeypatch.setattr(execute, 'run_logged', fail)
    monkeypatch.setattr('wtaseg.demo.edit_images', lambda *_: None)
    monkeypatch.chdir(tmp_path)
    assert main(['demo', '--smoke']) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ['data', 'work_dirs']
    assert folders == [tmp_path / 'data/wta_demo_smoke'] * 2
    assert len(list(folders[0].glob('img_dir/train/*.png'))) == 8
    assert len(list(tmp_path.glob('work_dirs/demo/exp/fastscnn/*/run.json'))) == 2


@pytest.mark.parametrize('base', ['current', 'given'])
def test_study_reports_on_the_project_below_its_base(base, tmp_path, monkeypatch, capsys):
    rows = {('Original', 'Focal Loss'): [(40, 50, 20, 30)]}
    file = tmp_path / 'here/work_dirs/p/report/results.json'
    save(made_up_results(rows, Marking.BEST_SECOND), file)
    if base == 'current':
        monkeypatch.chdir(tmp_path / 'here')
        assert main(['study', '--report-only', '--project', 'p']) == 1
    else:
        monkeypatch.chdir(tmp_path)
        assert study(['--report-only', '--project', 'p'], base=tmp_path / 'here') == 1
    # the results are read again from the runs, which are not there
    assert 'missing: net/OriginalFocalLoss-seed0' in capsys.readouterr().err
    assert (file.parent / 'losses.html').is_file()


def test_study_by_its_script_has_its_projects_in_the_clone(tmp_path):
    done = started(tmp_path, ROOT / 'tools/study.py', '--report-only', '--project', 'no such project')
    assert done.returncode == 2
    assert f'{ROOT}/work_dirs/no such project/report/results.json does not exist' in done.stderr


def test_new_writes_data_and_configs_below_the_current_folder(tmp_path, monkeypatch):
    request = NewDataset('mine', (), (), LabelOptions(('normal', 'dent')))
    monkeypatch.chdir(tmp_path)
    assert request.folder == tmp_path / 'data/mine'
    assert request.config_folder.resolve() == tmp_path / 'configs'
    # in the clone, where configs are found by name
    monkeypatch.chdir(ROOT)
    assert (request.folder, request.config_folder) == (ROOT / 'data/mine', ROOT / 'configs')


def test_paths_inside_the_base_are_relative(tmp_path):
    (tmp_path / 'link').symlink_to('/')
    for path in ('data/a', './data/a', 'link/../data/a', tmp_path / 'data/a'):
        assert relative_to_base(Path(path), tmp_path) == Path('data/a')
    assert relative_to_base(Path('link/a'), tmp_path) == Path('link/a')
    assert relative_to_base(Path('../a'), tmp_path) == tmp_path.parent / 'a'


def test_a_run_knows_what_relative_paths_count_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / 'work_dirs/p', 'net/a')
    spec = RunSpec('net/a', 'net/a', 'Net')
    for recorded, expected in (('../..', tmp_path), ('/data', Path('/data')), (None, ROOT)):
        write_spec(dataclasses.replace(spec, base=recorded), run / 'run.json')
        assert read_run(run).base == expected
        assert read_run(run.relative_to(tmp_path)).base == expected
    # a version before this one wrote no such field
    content = json.loads((run / 'run.json').read_text())
    del content['base']
    (run / 'run.json').write_text(json.dumps(content))
    assert read_run(run).base == ROOT
    # a plain work folder of mmsegmentation
    assert read_run(tmp_path / 'work_dirs/net').base == tmp_path
