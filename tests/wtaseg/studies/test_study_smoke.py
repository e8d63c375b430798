"""Every study from a clean project, --smoke, with the real tools."""

import csv
import json

import openpyxl
import pytest
from study_helpers import brighten_defects, run_in_process, write_blades

from wtaseg.cli.study import main
from wtaseg.studies.catalogue import WORDS

# those that change more than the loss
REMEDIES = [
    'CrossEntropy Loss, ENet class weights',
    'CrossEntropy Loss, OHEM',
    'Focal Loss, rare-class sampling',
    'Focal Loss, copy-paste of defects',
]
# the rows to train, and the number of runs; test_study_running builds the configs of all
CASES = {
    'losses': (['Focal Loss', 'Dice Loss', 'Focal + Tversky Loss'], 3),
    'gamma': (['CrossEntropyLoss', 'Gamma 0.5', 'Gamma 2'], 3),
    'loss_aug': (['Fast-SCNN'], 3),
    'words': (['Original Dataset', 'peeling', 'rust'], 3),
    'relabel': (['Fast-SCNN'], 3),
    'ratio': (['0 %', '20 %', '100 %'], 3),
    'imbalance': (REMEDIES, 4),
    'final': (['Fast-SCNN'], 2),
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Blades, and a set of each word."""
    folder = tmp_path_factory.mktemp('data')
    blades = write_blades(folder / 'blades')
    for i, word in enumerate(WORDS):
        brighten_defects(blades, word, 1.05 + 0.05 * i)
    return blades


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_study_from_a_clean_project(name, data, tmp_path, monkeypatch, capsys):
    run_in_process(monkeypatch)
    only, rows = CASES[name]
    more = ['--only', *only] if only else []
    if name == 'relabel':
        sets = [data.with_name(f'{data.name}_aug_{word}') for word in ('peeling', 'rust')]
        more = [*more, '--not-relabelled', str(sets[0]), '--relabelled', str(sets[1])]
    command = [name, '--data', str(data), '--project', 'p', '--smoke', '--work-dir', str(tmp_path), *more]
    assert main(command) == 0, capsys.readouterr().err
    report = tmp_path / 'p/report'
    results = json.loads((report / 'results.json').read_text())
    runs = results['runs'].values()
    assert len(runs) == rows and all(run['status'] == 'done' and run['validations'] for run in runs)
    lines = list(csv.reader((report / f'{name}.csv').open()))
    assert len(lines) == rows + 1 and lines[1][-1] == '1'
    assert (report / f'{name}.md').read_text().count('\n| ') == rows + 1
    assert openpyxl.load_workbook(report / f'{name}.xlsx')['Runs'].max_row == rows + 1
    assert {f'{name}_bars.png'} <= {path.name for path in report.glob('*.png')}
    page = (report / f'{name}.html').read_text()
    assert page.count('data:image/png;base64,') == len(list(report.glob(f'{name}_*.png')))

    if name != 'gamma':
        return
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.count('] skipped ') == rows


@pytest.mark.slow
def test_study_with_processes_side_by_side(data, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    command = ['losses', 'gamma', '--data', str(data), '--project', 'p', '--smoke', '--jobs', '2']
    command += ['--only', 'Focal Loss', 'Gamma 2', '--work-dir', str(tmp_path)]
    command += ['--bundle', str(tmp_path / 'bundle'), '--commit', 'c0ffee']
    status = main(command)
    printed = capfd.readouterr()
    assert status == 0, printed
    # both studies share the one run
    assert '[1/1] done' in printed.out
    bundle = {path.name for path in (tmp_path / 'bundle').iterdir()}
    assert bundle == {'results.json', 'losses.html', 'gamma.html', 'tables.md', 'logs.txt'}
    assert 'commit c0ffee' in (tmp_path / 'bundle/tables.md').read_text()

    # the reports can be made again from the JSON alone
    again = tmp_path / 'again'
    assert main(['--report-only', '--from', str(tmp_path / 'bundle/results.json'), '--out', str(again)]) == 0
    assert (again / 'losses.md').read_text() == (tmp_path / 'p/report/losses.md').read_text()
