"""Several runs at a time: side by side, on their devices, up to a time limit."""

import os
import signal
import sys
import threading
import time

import pytest

from wtaseg.runs.job import Experiment, Outcome
from wtaseg.runs.layout import ProjectLayout
from wtaseg.runs.pool import run_pool, visible_devices
from wtaseg.runs.processes import run_logged


@pytest.fixture
def project(tmp_path):
    return ProjectLayout(tmp_path / 'p')


@pytest.fixture
def work(project, tmp_path):
    """Runs a program of one line, given as the experiment's config."""

    def run(experiment, context):
        log = project.run(experiment.name).train_log
        status = run_logged([sys.executable, '-c', experiment.config], log, tmp_path, context)
        return Outcome(experiment, 'failed' if status else 'done', why=f'exit status {status}')

    return run


def wait_and_note(ready, note):
    """A program that makes the file ``ready``, and ``note`` when it receives SIGTERM."""
    return (
        f'import signal, pathlib\nsignal.signal(signal.SIGTERM, lambda *a: (pathlib.Path({str(note)!r}).touch(), exit()))\n'
        f'pathlib.Path({str(ready)!r}).touch()\nwhile True: signal.pause()'
    )


def test_runs_side_by_side_and_a_failure_leaves_the_others_running(project, work, tmp_path, capsys):
    # a and b each wait for the other's file: one after the other they would not end well
    meet = (
        'import pathlib, time, sys\nhere, there = (pathlib.Path({!r}) / n for n in {!r})\nhere.touch()\n'
        'end = time.monotonic() + 60\nwhile not there.exists() and time.monotonic() < end: time.sleep(0.01)\n'
        'sys.exit(not there.exists())'
    )
    experiments = [
        Experiment(meet.format(str(tmp_path), 'ab'), 'a'),
        Experiment(meet.format(str(tmp_path), 'ba'), 'b'),
        Experiment('print("hello"); raise SystemExit(3)', 'c'),
        Experiment('import os; print(os.environ["OMP_NUM_THREADS"] + os.environ["MMSEG_CORES"])', 'd'),
    ]
    ended = []
    result = run_pool(
        experiments, work, project, jobs=2, on_end=lambda outcome: ended.append(outcome.experiment.name)
    )
    assert result.complete and not result.timed_out and result.exit_status == 1
    assert sorted(ended) == ['a', 'b', 'c', 'd']
    out = capsys.readouterr().out
    assert out.count('done ') == 3 and 'FAILED c: exit status 3' in out and '[4/4] d' in out
    assert project.run('c').job_log.read_text() == 'hello\n' == project.run('c').train_log.read_text()
    assert int(project.run('d').job_log.read_text()) >= 1


def test_at_the_deadline_programs_receive_sigterm(project, work, tmp_path):
    notes = [tmp_path / f'note{i}' for i in range(2)]

    class Deadline(float):
        """In the past from the moment both programs are ready."""

        def __lt__(self, now):
            return all((tmp_path / f'ready{i}').exists() for i in range(2))

    experiments = [Experiment(wait_and_note(tmp_path / f'ready{i}', notes[i]), f'e{i}') for i in range(2)]
    experiments.append(Experiment('', 'never'))
    result = run_pool(experiments, work, project, jobs=2, deadline=Deadline(time.monotonic()))
    assert result.timed_out and not result.complete and result.outcomes == [] and result.exit_status == 1
    assert all(note.exists() for note in notes) and not project.run('never').job.exists()


def test_sigterm_ends_the_programs_and_is_handled_as_before_afterwards(project, work, tmp_path, capsys):
    ready, note = tmp_path / 'ready', tmp_path / 'note'

    def interrupt():
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=interrupt)
    thread.start()
    result = run_pool([Experiment(wait_and_note(ready, note), 'a'), Experiment('', 'b')], work, project)
    thread.join()
    assert result.interrupted and result.exit_status == 130 and note.exists()
    assert 'run the same command again' in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_take_the_gpus_in_turn(project, tmp_path):
    barrier = threading.Barrier(3, timeout=60)
    devices = []

    def work(experiment, context):
        barrier.wait()  # all three slots are taken
        devices.append(context.env['CUDA_VISIBLE_DEVICES'])
        return Outcome(experiment, 'done')

    assert run_pool([Experiment('c', name) for name in 'abc'], work, project, 3, ('4', '7')).complete
    assert sorted(devices) == ['4', '4', '7']


def test_devices_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    assert visible_devices() == ('3', '5')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3')
    assert visible_devices() == ()


def test_an_unexpected_error_of_a_run_does_not_hang_the_pool(project, monkeypatch):
    monkeypatch.setattr(threading, 'excepthook', lambda arguments: None)

    def work(experiment, context):
        raise RuntimeError('unexpected')

    result = run_pool([Experiment('c', 'a')], work, project)
    assert not result.complete and result.exit_status == 1
