"""The short form of ``make torture``: a few kills and full disks of the quickest program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torture import contents
from torture.kills import Trial
from torture.programs import missing_and_different
from torture.session import Session

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(not hasattr(os, 'pidfd_open'), reason='needs Linux')


@linux
def test_killed_programs_end_as_if_they_had_not_been(tmp_path):
    search = os.pathsep.join(map(str, (ROOT, ROOT / 'tests', ROOT / 'tests/helpers')))
    command = [sys.executable, '-m', 'torture', '--program', 'convert', '--kills', '2', '--no-corpus']
    result = subprocess.run(
        [*command, '--out', tmp_path / 'table.md'],
        env=os.environ | {'PYTHONPATH': search, 'OMP_NUM_THREADS': '1', 'TMPDIR': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['table.md']
    table = (tmp_path / 'table.md').read_text()
    rows = [line.split('|')[1:-1] for line in table.splitlines() if line.startswith('| ')]
    assert [cell.strip() for cell in rows[-1]] == ['**all**', '6', *['0'] * 6]


def test_what_went_wrong_is_counted(tmp_path):
    session = Session(tmp_path, ['convert'], 0)
    trial = Trial('convert', 0)
    trial.add('lost', ['a', 'b'])
    trial.add('differing', ['c'])
    session.killed, session.filled = [trial, Trial('convert', 1)], [Trial('convert', 0)]
    assert session.failed
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]] for line in session.report(60, []).splitlines()[2:5]
    ]
    assert rows[0] == ['convert, killed', '0', '1', '1', '0', '0', '0', '0']
    assert rows[2] == ['**all**', '1', '1', '1', '0', '0', '0', '0']


def test_differences_are_found(tmp_path):
    expected = {'a': 1, 'b': 2, 'c': 3}
    missing, different = missing_and_different(expected, {'a': 1, 'b': 9, 'd': 4})
    assert missing == ['c'] and different == ['b', 'd (surplus)']
    (tmp_path / 'half.png').write_bytes(b'\x89PNG\r\n')
    (tmp_path / 'half.json').write_text('{')
    (tmp_path / 'half.pth').write_bytes(b'PK')
    (tmp_path / '.half.png.7-01234567.part').write_bytes(b'')
    (tmp_path / 'whole.json').write_text('{}')
    assert [line.partition(': ')[0] for line in contents.damaged(tmp_path)] == [
        str(tmp_path / name) for name in ('half.json', 'half.png', 'half.pth')
    ]
    assert [path.name for path in contents.files(tmp_path) if contents.is_left_over(path)] == [
        '.half.png.7-01234567.part'
    ]
