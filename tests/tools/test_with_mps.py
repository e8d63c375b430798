"""``tools/with_mps.sh`` with a control program that only records its calls."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools/with_mps.sh'
CONTROL = """#!/bin/sh
if [ "$1" = -d ]; then echo "start $CUDA_MPS_PIPE_DIRECTORY" >>"$CALLS"; else cat >>"$CALLS"; fi
"""


@pytest.fixture
def environment(tmp_path):
    (tmp_path / 'bin').mkdir()
    control = tmp_path / 'bin/nvidia-cuda-mps-control'
    control.write_text(CONTROL)
    control.chmod(0o755)
    path = f'{control.parent}{os.pathsep}{os.environ["PATH"]}'
    return os.environ | {'PATH': path, 'CALLS': str(tmp_path / 'calls'), 'TMPDIR': str(tmp_path)}


def calls(environment) -> list[str]:
    return Path(environment['CALLS']).read_text().splitlines()


def test_the_service_lasts_as_long_as_the_command(environment, tmp_path):
    code = 'import os, sys; print(os.environ["CUDA_MPS_PIPE_DIRECTORY"]); sys.exit(7)'
    done = subprocess.run(
        ['bash', SCRIPT, sys.executable, '-c', code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    folder = done.stdout.strip()
    assert calls(environment) == [f'start {folder}', 'quit']
    assert folder.startswith(str(tmp_path)) and not Path(folder).exists()


def test_a_signal_reaches_the_command_which_may_finish(environment, tmp_path):
    code = (
        'import signal, sys, time\n'
        'def end(*_):\n'
        '    time.sleep(0.5)\n'
        '    print("finished", flush=True)\n'
        '    sys.exit(3)\n'
        'signal.signal(signal.SIGTERM, end)\n'
        'print("ready", flush=True)\n'
        'time.sleep(60)\n'
    )
    script = subprocess.Popen(
        ['bash', SCRIPT, sys.executable, '-c', code], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert script.stdout.readline() == 'ready\n'
    script.send_signal(signal.SIGTERM)
    rest, _ = script.communicate(timeout=20)
    assert (rest, script.returncode) == ('finished\n', 3)
    assert calls(environment)[-1] == 'quit'


def test_a_missing_control_program_is_named(tmp_path):
    for name in ('bash', 'env'):
        (tmp_path / name).symlink_to(f'/bin/{name}')
    done = subprocess.run(
        ['bash', SCRIPT, 'true'], env={'PATH': str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "NVIDIA's driver" in done.stderr
    done = subprocess.run(['bash', SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and 'usage' in done.stderr
