"""Workers end with their parent, and a folder has one process at work in it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmseg.engine import build_runner
from mmseg.processes import FolderInUseError, locked
from mmseg.utils.files import remove_temporaries

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
linux = pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='needs /proc')


def start(code: str, *arguments: object, **options) -> subprocess.Popen:
    """Run Python code in a process of its own."""
    command = [sys.executable, '-c', code, *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, **options)


def workers_of(process: subprocess.Popen) -> list[int]:
    """Process ids of the spawned workers, without multiprocessing's resource tracker."""
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    commands = {int(pid): Path(f'/proc/{pid}/cmdline').read_bytes() for pid in children}
    return [pid for pid, command in commands.items() if b'spawn_main' in command]


def is_alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


RENDER = """
import sys
from wtaseg.cli import main
sys.exit(main(['render', '--out', sys.argv[1], '--train', '500', '--val', '0', '--test', '0', '--size', '128', '--workers', '2']))
"""
CHECK = """
import sys
from wtaseg.cli import main
sys.exit(main(['check', sys.argv[1], '--workers', '2']))
"""


@linux
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_of_a_render_end_with_it(tmp_path, number):
    process = start(RENDER, tmp_path / 'out', stderr=subprocess.PIPE)
    assert wait_until(lambda: len(list(tmp_path.glob('out/ann_dir/train/*.png'))) > 2)
    workers = workers_of(process)
    assert len(workers) == 2
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert 'Traceback' not in message
    assert wait_until(lambda: not any(map(is_alive, workers)), 20)


@linux
def test_workers_of_a_check_end_with_it(tmp_path):
    assert (
        subprocess.run(
            [sys.executable, '-c', RENDER.replace('500', '60'), tmp_path], env=ENVIRONMENT
        ).returncode
        == 0
    )
    process = start(CHECK, tmp_path, stderr=subprocess.DEVNULL)
    assert wait_until(lambda: len(workers_of(process)) == 2)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    assert wait_until(lambda: not any(map(is_alive, workers)), 20)


HOLD = """
import sys, time
from pathlib import Path
from mmseg.processes import locked
with locked(Path(sys.argv[1]), 'it'):
    print('locked', flush=True)
    time.sleep(100)
"""


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    path = tmp_path / 'new' / '.lock'
    process = start(HOLD, path)
    assert process.stdout.readline() == 'locked\n'
    message = rf'^the folder x is in use by process {process.pid} on '
    with pytest.raises(FolderInUseError, match=message) as refusal, locked(path, 'the folder x'):
        pass
    assert '\n' not in str(refusal.value)
    process.kill()
    process.communicate()
    assert path.is_file()  # stale
    with locked(path, 'the folder x'):
        assert path.read_text().startswith(f'process {os.getpid()} on ')
    assert not path.exists()


def test_a_forked_process_does_not_hold_the_lock(tmp_path):
    """A worker of a data loader that survives a killed training for some seconds."""
    reading, writing = os.pipe()
    with locked(tmp_path / '.lock', 'it'):
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            os._exit(0)
    try:
        with locked(tmp_path / '.lock', 'it'):
            pass
    finally:
        os.write(writing, b'x')
        os.waitpid(child, 0)


def test_a_work_folder_has_one_training_and_no_old_temporary_files(experiment, tmp_path):
    cfg = experiment(**{'default_hooks.checkpoint.subfolder': 'ckpt', 'train_cfg.max_iters': 1})
    work = Path(cfg.work_dir)
    runner = build_runner(cfg)
    process = start(HOLD, work / '.training.lock')
    assert process.stdout.readline() == 'locked\n'
    (work / 'ckpt').mkdir()
    leftovers = [work / '.iter_2.pth.17.tmp', work / 'ckpt/.iter_2.pth.17.tmp', work / 'ckpt/.mine.tmp']
    for path in leftovers:
        path.write_bytes(b'half')
    with pytest.raises(FolderInUseError, match=rf'work folder .* is in use by process {process.pid} on '):
        runner.train()
    assert all(path.exists() for path in leftovers)
    process.kill()
    process.communicate()
    build_runner(cfg).train()
    assert [path for path in leftovers if path.exists()] == [work / 'ckpt/.mine.tmp']
    assert not (work / '.training.lock').exists()


def test_only_temporary_files_are_removed(tmp_path):
    names = ['.a.png.12.tmp', 'a.12.tmp', '.a.tmp', '.12.tmp', 'a.png']
    for name in names:
        (tmp_path / name).write_text('')
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='the setting is of glibc')
def test_freed_memory_is_kept():
    code = """
import ctypes, resource, sys
import numpy as np
from mmseg.processes import keep_freed_memory
if not hasattr(ctypes.CDLL(None), 'gnu_get_libc_version'):
    sys.exit('no glibc')
assert sys.argv[1] == 'as it is' or keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def images():
    for _ in range(20):
        arrays = [np.ones(3_000_000, np.uint8) for _ in range(4)]
images()
before = faults()
images()
print(faults() - before)
"""
    faults = {}
    for setting in ('as it is', 'kept'):
        process = start(code, setting, stderr=subprocess.PIPE)
        out, error = process.communicate()
        if 'no glibc' in error:
            pytest.skip('the setting is of glibc')
        assert process.returncode == 0, error
        faults[setting] = int(out)
    assert faults['kept'] < faults['as it is'] / 10
