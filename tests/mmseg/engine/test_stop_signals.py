"""A training that receives a signal, alone or with its data loaders' workers, saves a checkpoint and ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

HOOK = """
import signal, time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class WaitingHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if {block} and runner.iter == 2:
            print('blocked in iteration 2', flush=True)
            while signal.getsignal(signal.SIGINT) != signal.SIG_DFL:
                time.sleep(0.01)
            print('first signal', flush=True)
            time.sleep(60)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if {validate}:
            print('one image validated', flush=True)
"""


@pytest.fixture
def start(experiment, tmp_path):
    """A function that starts a training as the leader of a process group."""
    processes = []

    def run(block: bool = False, validate: bool = False, **options) -> subprocess.Popen:
        (tmp_path / 'waiting.py').write_text(HOOK.format(block=block, validate=validate))
        workers = {'num_workers': 2, 'persistent_workers': True}
        options |= {
            f'{split}_dataloader.{key}': value for split in ('train', 'val') for key, value in workers.items()
        }
        cfg = experiment(
            **{'train_cfg.max_iters': 100000, 'default_hooks.checkpoint.interval': 100000} | options
        )
        cfg.custom_imports = dict(imports=['waiting'])
        cfg.custom_hooks = [dict(type='WaitingHook', priority='VERY_HIGH')]
        cfg.dump(tmp_path / 'config.py')
        env = os.environ | dict(
            PYTHONPATH=f'{ROOT}{os.pathsep}{tmp_path}', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''
        )
        processes.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / 'tools/train.py'), str(tmp_path / 'config.py')],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.stdout.close()


def wait_for(process: subprocess.Popen, text: str) -> None:
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f'the training ended without {text!r}')


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT'])
def test_a_signal_to_the_whole_group_saves_a_checkpoint(start, tmp_path, name):
    process = start()
    wait_for(process, 'Iter(train)')
    os.killpg(process.pid, signal.Signals[name])
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name], output
    assert 'Traceback' not in output
    (checkpoint,) = (tmp_path / 'work').glob('iter_*.pth')
    assert f'{name}: saved {checkpoint}; --resume continues from there' in output.splitlines()[-1]


def test_a_second_signal_ends_at_once(start, tmp_path):
    process = start(block=True)
    wait_for(process, 'blocked in iteration 2')
    os.killpg(process.pid, signal.SIGINT)
    wait_for(process, 'first signal')
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_a_signal_during_validation_repeats_it_after_resuming(start, tmp_path):
    process = start(validate=True, **{'train_cfg.val_interval': 3, 'train_cfg.max_iters': 6})
    wait_for(process, 'one image validated')
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    import torch

    checkpoint = torch.load(tmp_path / 'work/iter_3.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 3
    assert checkpoint['message_hub']['runtime_info']['last_validated_iter'] == 0
