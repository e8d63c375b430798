import json
import subprocess
import sys

import pytest
from recorded_project import ROOT, metrics_of, write_log

from wtaseg.runs.select import find_best, score


def val(a_acc, miou, macc):
    return {'aAcc': a_acc, 'mIoU': miou, 'mAcc': macc}


def run(*arguments):
    command = [sys.executable, ROOT / 'bash/find_best.py', '--json_log_path', *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_prints_the_step_with_the_highest_mean(tmp_path):
    # means 60, 70, 65: mIoU alone would take the last, aAcc alone the first
    log = write_log(
        tmp_path / 'a log.json', {4000: val(99, 31, 50), 8000: val(98, 40, 72), 12000: val(95, 45, 55)}
    )
    result = run(log)
    assert (result.returncode, result.stdout) == (0, '8000\n')


def test_nan_null_and_missing_count_as_zero(tmp_path):
    rows = {
        1: val(99, float('nan'), 90),  # 63
        2: val(70, 60, 62),  # 64
        3: {'aAcc': 95, 'mIoU': None, 'mAcc': 95},  # 63.3
        4: {'aAcc': 100, 'mIoU': 90},  # 63.3
        5: val(99, 'nan', 92),  # 63.7
    }
    log = write_log(tmp_path / 'log.json', rows)
    assert 'NaN' in log.read_text()
    step, best = find_best([log])
    assert (step, best) == (2, pytest.approx(64))


def test_later_step_wins_a_tie_whatever_the_order_of_the_values(tmp_path):
    # as binary fractions, 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last digit when added in turn
    rows = {10: val(0.1, 0.2, 0.3), 20: val(0.3, 0.2, 0.1), 5: val(0.2, 0.3, 0.1)}
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert find_best([write_log(tmp_path / 'log.json', rows)])[0] == 20


def test_logs_of_a_resumed_run_count_together(tmp_path):
    first = write_log(tmp_path / '1.json', {2: val(90, 50, 50), 4: val(90, 80, 80)})
    # step 4 was trained again after the interruption, and its checkpoint overwritten
    second = write_log(tmp_path / '2.json', {4: val(90, 10, 10), 6: val(90, 40, 40)})
    assert find_best([first, second])[0] == 2


def test_a_line_truncated_by_a_kill_is_skipped_and_reported(tmp_path):
    log = write_log(tmp_path / 'log.json', {2: val(90, 50, 50)})
    with log.open('a') as file:
        file.write(json.dumps({'step': 4, **val(99, 99, 99)})[:-7])
    result = run(log)
    assert result.stdout == '2\n'
    assert 'log.json:4' in result.stderr


def test_errors_name_the_file_and_the_remedy(tmp_path):
    log = tmp_path / 'log.json'
    log.write_text(json.dumps({'loss': 0.3, 'decode.acc_seg': 99.0, 'step': 50}) + '\n')
    result = run(log)
    assert result.returncode == 1 and result.stdout == ''
    assert str(log) in result.stderr and 'val_interval' in result.stderr
    result = run(tmp_path / 'none.json')
    assert result.returncode == 1 and 'none.json: no such training log' in result.stderr


def test_score_takes_no_other_metric():
    assert score(metrics_of([99, 0, 0], [99, 30, 30], a_acc=99)) == pytest.approx((99 + 33 + 53) / 3)


def test_by_another_metric(tmp_path):
    rows = {2: val(99, 80, 80) | {'mOPFound': 40.0}, 4: val(90, 10, 10) | {'mOPFound': 70.0}}
    log = write_log(tmp_path / 'log.json', rows)
    assert run(log).stdout == '2\n' and run(log, '--by', 'mOPFound').stdout == '4\n'
    result = run(log, '--by', 'mFound')
    assert result.returncode == 1 and 'no validation has this metric' in result.stderr
    assert 'mOPFound' in result.stderr
