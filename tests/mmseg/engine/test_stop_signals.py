"""A training that receives a signal, alone or with its data loaders' workers, saves a checkpoint and ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist
from mmengine.hooks import Hook

from mmseg.engine import CheckpointHook, build_runner

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


class StoppedHook(Hook):
    """Sends this process a signal in an iteration."""

    def __init__(self, number, iteration):
        self.number, self.iteration = number, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), self.number)


def stopped_training(cfg, number, iteration=2):
    """Train until the signal; returns the exit status and the checkpoints."""
    runner = build_runner(cfg)
    runner.register_hook(StoppedHook(number, iteration))
    with pytest.raises(SystemExit) as stop:
        runner.train()
    return stop.value.code, [path.name for path in Path(cfg.work_dir).glob('*.pth')]


@pytest.mark.parametrize('name', ['SIGHUP', 'SIGTERM', 'SIGINT'])
def test_every_stop_signal_saves_a_checkpoint(experiment, name):
    cfg = experiment(**{'train_cfg.max_iters': 9, 'default_hooks.checkpoint.interval': 1000})
    number = getattr(signal, name)
    assert stopped_training(cfg, number) == (128 + number, ['iter_3.pth'])


@pytest.mark.parametrize('keep', [2, -1])
def test_a_stopped_and_resumed_training_leaves_the_checkpoints_of_one_that_was_not_stopped(experiment, keep):
    options = {'train_cfg.max_iters': 8, 'default_hooks.checkpoint.max_keep_ckpts': keep}
    cfg = experiment(**options)
    assert sorted(stopped_training(cfg, signal.SIGTERM)[1]) == ['iter_2.pth', 'iter_3.pth']
    cfg.resume = True
    assert sorted(stopped_training(cfg, signal.SIGTERM, 4)[1]) == ['iter_2.pth', 'iter_4.pth', 'iter_5.pth']
    build_runner(cfg).train()
    names = sorted(path.name for path in Path(cfg.work_dir).glob('*.pth'))
    assert names == ([f'iter_{step}.pth' for step in (2, 4, 6, 8)])[-keep if keep > 0 else 0 :]


@pytest.fixture
def process_group(tmp_path):
    """A group of one process, as torchrun makes it of several."""
    store = dist.FileStore(str(tmp_path / 'store'), 1)
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_distributed_training_saves_a_checkpoint_too(experiment, process_group):
    cfg = experiment(**{'train_cfg.max_iters': 9, 'default_hooks.checkpoint.interval': 1000})
    assert stopped_training(cfg, signal.SIGTERM) == (143, ['iter_3.pth'])


def test_processes_agree_on_the_iteration(tmp_path):
    """One of two processes receives the signal; both stop."""

    def answers(rank: int) -> list[bool]:
        dist.init_process_group(
            'gloo', store=dist.FileStore(str(tmp_path / 'store'), 2), rank=rank, world_size=2
        )
        hook = CheckpointHook(by_epoch=False)
        hook._group = dist.new_group(backend='gloo')
        before = hook._stops()
        if rank == 1:
            hook._listener.received = signal.SIGHUP
        after = hook._stops()
        assert hook._listener.received == signal.SIGHUP
        dist.destroy_process_group()
        return [before, after]

    child = os.fork()
    if child == 0:
        os._exit(0 if answers(1) == [False, True] else 1)
    assert answers(0) == [False, True]
    assert os.waitpid(child, 0)[1] == 0


def test_a_signal_while_the_others_are_asked_is_not_lost(experiment, process_group, monkeypatch):
    hook = CheckpointHook(by_epoch=False)
    hook._group = dist.new_group(backend='gloo')

    def all_reduce(number, *args, **kwargs):
        hook._listener.received = signal.SIGTERM  # after this process has said that there is none

    with monkeypatch.context() as patch:
        patch.setattr(dist, 'all_reduce', all_reduce)
        assert not hook._stops()
    assert hook._stops()


def test_a_training_that_counts_epochs_says_that_a_signal_ends_it(experiment, caplog):
    cfg = experiment(**{'default_hooks.checkpoint.by_epoch': True, 'default_hooks.checkpoint.interval': 1})
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=5)
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False)
    runner = build_runner(cfg)
    runner.train()
    (log,) = Path(cfg.work_dir).glob('*/*.log')
    assert 'stopped by a signal, it continues from the end of the last epoch' in log.read_text()
