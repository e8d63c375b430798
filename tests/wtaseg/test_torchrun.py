"""Who is named when a process of several has failed, and the command lines that start several."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from running import processes_with

from wtaseg import torchrun
from wtaseg.cli import main, train
from wtaseg.runs.training_flags import TrainingFlags

ROOT = Path(__file__).resolve().parents[2]


def failure(exitcode, timestamp):
    return SimpleNamespace(exitcode=exitcode, timestamp=timestamp, pid=4242)


@pytest.mark.parametrize(
    ('failures', 'line'),
    [
        ({0: failure(75, 1), 1: failure(-9, 1)}, 'rank 1 (process 4242) was ended by SIGKILL'),
        ({0: failure(-15, 1), 1: failure(1, 2)}, 'rank 1 (process 4242) ended with exit status 1'),
        ({2: failure(1, 5), 3: failure(-6, 4)}, 'rank 3 (process 4242) was ended by SIGABRT'),
        ({1: failure(-15, 1)}, 'rank 1 (process 4242) was ended by SIGTERM'),
    ],
)
def test_the_process_that_failed_first_is_named(failures, line):
    rank, first = torchrun.first_failure(SimpleNamespace(failures=failures))
    assert torchrun.describe(rank, first) == f'{line}; the other processes have been ended'


def test_the_exit_status_is_that_of_the_process(tmp_path):
    program = tmp_path / 'fails.py'
    program.write_text(
        "import os, time\ntime.sleep(9 if os.environ['RANK'] == '0' else 0)\nraise SystemExit(7)\n"
    )
    ran = subprocess.run(
        [*torchrun.command_line(2), str(program)],
        env=os.environ | dict(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 7
    assert re.fullmatch(
        r'rank 1 \(process \d+\) ended with exit status 7; the other processes have been ended\n', ran.stderr
    )


def test_the_processes_get_the_arguments_of_the_command(monkeypatch):
    started = []
    monkeypatch.setattr('os.execv', lambda path, words: started.append(words) or sys.exit(0))
    monkeypatch.setattr('wtaseg.runs.pool.usable_gpus', lambda wanted: wanted)
    words = ['a.py', '--data', 'd', '--amp', '--ema', '--freeze', 'backbone', '--wandb', '--resume']
    options = ['--cfg-options', 'train_cfg.max_iters=3', 'a.b=[1,2]']
    with pytest.raises(SystemExit):
        main(['train', *words, '--gpus', '3', *options])
    (command,) = started
    count = len(torchrun.command_line(3))
    assert command[:count] == torchrun.command_line(3)
    expected = ['--data=d', '--amp', '--wandb', *TrainingFlags(ema=True, freeze=('backbone',)).words()]
    assert command[count:] == [
        *('-m', 'wtaseg', 'train', 'a.py', *expected, '--resume', *options, '--launcher', 'pytorch')
    ]
    assert train.split_resume('a.py', ()) == ('a.py', 'auto')


def test_trainings_end_with_the_program_that_started_them(experiment, tmp_path):
    cfg = experiment(**{'train_cfg.max_iters': 10**6, 'default_hooks.checkpoint.interval': 10**6})
    cfg.dump(tmp_path / 'config.py')
    process = subprocess.Popen(
        ['bash', str(ROOT / 'tools/dist_train.sh'), str(tmp_path / 'config.py'), '2'],
        env=os.environ | dict(PYTHON=sys.executable, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert any('Iter(train)' in line for line in process.stdout)
        os.kill(process.pid, signal.SIGKILL)  # the script has become torchrun
        end = time.monotonic() + 60
        while processes_with(str(tmp_path / 'config.py')) and time.monotonic() < end:
            for _ in process.stdout:  # a full pipe would stop the trainings
                pass
            time.sleep(0.2)
        assert not processes_with(str(tmp_path / 'config.py'))
        assert list((tmp_path / 'work').glob('iter_*.pth'))
    finally:
        process.kill()
        process.stdout.close()
