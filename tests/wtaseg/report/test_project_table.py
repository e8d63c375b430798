import csv
import io

import pytest
from recorded_project import metrics_of, write_run

from wtaseg.cli import main
from wtaseg.cli.report import main_table
from wtaseg.report import tables
from wtaseg.report.labels import row_labels
from wtaseg.report.project import tabulate
from wtaseg.report.summary import Mark
from wtaseg.runs.records import read_project

CE = "dict(type='CrossEntropyLoss', loss_weight=1.0)"
FOCAL_TVERSKY = "[dict(type='FocalLoss', gamma=2.0), dict(type='TverskyLoss')]"


def bold(table):
    """For each row its label and which of its metrics are bold."""
    return {row.label: [mark is Mark.BOLD for mark in marks] for row, marks in zip(table.rows, table.marks)}


def published(attached_iou, attached_acc, broken_iou, broken_acc):
    return metrics_of([99.5, attached_iou, broken_iou], [99.9, attached_acc, broken_acc])


@pytest.fixture
def project(tmp_path):
    """The Fast-SCNN and CCNet rows of the published results."""
    path = tmp_path / 'work dirs' / 'final'
    write_run(path, 'fastscnn/fast_scnn_wta', published(30.04, 34.39, 22.21, 37.02))
    aug = 'data/wta_512_aug_peeling'
    write_run(path, 'fastscnn/fast_scnn_wta_aug', published(36.94, 78.25, 23.58, 38.8), data=aug)
    write_run(
        path, 'ccnet/ccnet_wta', published(37.56, 70.22, 25.73, 71.14), backbone='ResNetV1c', head='CCHead'
    )
    write_run(
        path,
        'ccnet/ccnet_wta_aug',
        published(41.63, 73.84, 27.07, 44.25),
        data=aug,
        backbone='r',
        head='CCHead',
    )
    return path


def test_markdown_is_the_published_table(project):
    lines = tables.markdown(tabulate(read_project(project))).splitlines()
    assert lines[0] == (
        '| Model | Trained on | Attached IoU | Attached Acc | Broken IoU | Broken Acc | mIoU | mAcc |'
    )
    assert lines[2:] == [
        '| **CCNet** | w/ Augmented | **41.63** | **73.84** | **27.07** | 44.25 | **34.35** | 59.045 |',
        '|  | Original | 37.56 | 70.22 | 25.73 | **71.14** | 31.645 | **70.68** |',
        '| **Fast-SCNN** | w/ Augmented | **36.94** | **78.25** | **23.58** | **38.80** | **30.26** | **58.525** |',
        '|  | Original | 30.04 | 34.39 | 22.21 | 37.02 | 26.125 | 35.705 |',
    ]


def test_command_writes_three_files_that_agree(project, capsys):
    openpyxl = pytest.importorskip('openpyxl')
    assert main_table([str(project)]) == 0
    assert (project / 'results.md').read_text() in capsys.readouterr().out
    rows = list(csv.reader(io.StringIO((project / 'results.csv').read_text())))
    assert rows[2] == ['CCNet', 'Original', '37.56', '70.22', '25.73', '71.14', '31.645', '70.68']
    sheet = openpyxl.load_workbook(project / 'results.xlsx').active
    assert [cell.value for cell in sheet[1]] == rows[0]
    assert [cell.value for cell in sheet[3]] == ['CCNet', 'Original', *map(float, rows[2][2:])]
    assert [cell.font.bold for cell in sheet[3]] == [False, False, False, False, False, True, False, True]
    assert not list(project.glob('*.part*'))


def test_losses_of_one_model_are_told_apart(tmp_path):
    write_run(tmp_path, 'a/focal', published(44.34, 61.05, 22.33, 36.31))
    write_run(tmp_path, 'a/ce', published(37.53, 41.94, 9.85, 10.37), loss=CE)
    write_run(tmp_path, 'a/ft', published(24.11, 77.2, 21.31, 42.35), loss=FOCAL_TVERSKY)
    rows = bold(tabulate(read_project(tmp_path)))
    focal, both = 'FocalLoss w/o aug.', 'FocalLoss + TverskyLoss w/o aug.'
    assert set(rows) == {focal, both, 'CrossEntropyLoss w/o aug.'}
    assert rows[focal] == [True, False, True, False, True, False]
    assert rows[both] == [False, True, False, True, False, True]


def test_equal_values_have_no_best(tmp_path):
    write_run(tmp_path, 'a/focal', published(5, 6, 0, 0))
    write_run(tmp_path, 'a/ce', published(4, 6, 0, 0), loss=CE)
    best = bold(tabulate(read_project(tmp_path)))
    assert best['FocalLoss w/o aug.'] == [True, False, False, False, True, False]
    assert not any(best['CrossEntropyLoss w/o aug.'])


def test_gammas_and_seeds_are_told_apart(tmp_path):
    for gamma in (0.5, 2.0):
        loss = f"dict(type='FocalLoss', gamma={gamma})"
        write_run(tmp_path, f'a/g{gamma}', published(1, 1, 1, 1), loss=loss, data='data/x_aug_rust')
    runs = read_project(tmp_path)
    assert row_labels(runs) == ['FocalLoss γ=0.5 w/ Rust aug.', 'FocalLoss γ=2 w/ Rust aug.']
    write_run(tmp_path, 'a/seed1', published(1, 1, 1, 1), data='data/x_aug_rust')
    assert row_labels(read_project(tmp_path)) == ['a/g0.5', 'a/g2.0', 'a/seed1']


@pytest.mark.parametrize(
    'parts, model',
    [
        (dict(backbone='MobileNetV3', head='LRASPPHead'), 'MobileNetV3'),
        (dict(backbone='BEiT', head='UPerHead'), 'BEiT'),
        (dict(backbone='ResNetV1c', head='UPerHead'), 'UPerNet'),
        (dict(backbone='mmseg.VisionTransformer', head='UPerHead'), 'ViT'),
        (dict(backbone='ResNetV1c', head='EncHead'), 'Enc'),
    ],
)
def test_model_names_come_from_the_config(tmp_path, parts, model):
    write_run(tmp_path, 'dir/x', **parts)
    assert read_project(tmp_path)[0].spec.model == model


@pytest.mark.parametrize(
    'data, name, trained_on',
    [
        ('data/wta_512', 'd/m_wta-512x512', 'Original'),
        ('data/wta_512_aug', 'd/m', 'w/ Augmented'),
        ('data/august_2024', 'd/m', 'Original'),
        ('data/wta_512', 'd/m_4xb4-40k_wta_aug-256x256', 'w/ Augmented'),
        ('data/final_relabeled_ori_aug_only_junhyung_label_re_val_re_test', 'd/m', 'w/ Augmented'),
    ],
)
def test_trained_on_comes_from_dataset_or_name(tmp_path, data, name, trained_on):
    write_run(tmp_path, name, data=data)
    assert read_project(tmp_path)[0].spec.trained_on == trained_on


def test_table_of_the_log_where_there_is_no_json(tmp_path):
    path = write_run(tmp_path, 'a/m')
    (path / 'test').mkdir()
    table = '|  Class   |  IoU  |  Acc  |\n+---+---+---+\n|  defect  | 99.8  | 99.9  |\n'
    (path / 'test/test_log.txt').write_text(
        f'{table}| attached | 1.0 | 2.0 |\nlater\n+--+\n{table}| attached | 43.21 | 50.0 |\n'
        '|  broken  | nan | nan |\n+---+\n2025/01/01 - mmengine - INFO - Iter(test) [4/4]  aAcc: 99.8\n'
    )
    run = read_project(tmp_path)[0]
    assert list(run.scores) == ['defect', 'attached', 'broken']
    assert (run.foreground['attached'].iou, run.foreground_miou, run.foreground_macc) == (43.21, 43.21, 50.0)


def test_absent_class_and_unfinished_run_are_said(tmp_path):
    nan = float('nan')
    write_run(tmp_path, 'a/done', published(40, 50, nan, nan))
    write_run(tmp_path, 'a/waiting')
    table = tabulate(read_project(tmp_path))
    text = tables.markdown(table)
    assert '| **Fast-SCNN** | Original | 40.00 | 50.00 | – | – | 40.00 | 50.00 |' in text
    assert 'no pixel of this class' in text and '`a/waiting`' in text
    assert tables.csv(table).splitlines()[1] == 'Fast-SCNN,Original,40.00,50.00,,,40.00,50.00'


def test_nothing_to_tabulate_is_an_error(tmp_path, capsys):
    assert main_table([str(tmp_path / 'no')]) == 1
    assert 'no run found' in capsys.readouterr().err
    write_run(tmp_path, 'a/waiting')
    assert main_table([str(tmp_path)]) == 1
    assert 'no run has been tested yet' in capsys.readouterr().err


def test_report_writes_what_the_project_has(project, capsys):
    assert main(['report', str(project)]) == 0
    captured = capsys.readouterr()
    assert (project / 'results.md').read_text() in captured.out and 'no overlays: ' in captured.err
    files = {path.relative_to(project).as_posix() for path in project.glob('*.*')}
    assert files == {'results.md', 'results.csv', 'results.xlsx', 'results.html'}
    assert [path.name for path in project.glob('curves/*')] == ['test_set_eval.png']
    page = (project / 'results.html').read_text()
    assert (
        page.count('data:image/png;base64,') == 1 and '<b>41.63</b>' in page and 'ccnet/ccnet_wta_aug' in page
    )
    # what is asked for by name is an error where it cannot be made
    assert main(['report', str(project), '--parts', 'overlays']) == 1
    assert main(['report', str(project), '--parts', 'pie']) == 2
    assert main(['report', str(project), '--parts', 'table', 'curves', '--out', str(project / 'o')]) == 0
    assert len(list(project.glob('o/**/*.*'))) == 4


def test_runs_that_were_only_trained_have_the_rows_of_their_best_validation(tmp_path):
    rows = {100: metrics_of([99, 10, 20], [99, 30, 40]), 200: metrics_of([99, 12, 22], [99, 32, 42])}
    rows[300] = metrics_of([99, 1, 2], [99, 3, 4])
    run = write_run(tmp_path / 'project', 'a/b', None, rows)
    (run / 'train/20250101_000000').rename(tmp_path / '20250101_000000')
    table = tabulate(read_project(tmp_path))
    (line,) = [line for line in tables.markdown(table).splitlines() if 'Fast-SCNN' in line]
    assert '| 12.00 | 32.00 | 22.00 | 42.00 | 17.00 | 37.00 |' in line
    assert 'Validation set, best validation of each run' in tables.markdown(table)
    assert table.validated and not table.unfinished
