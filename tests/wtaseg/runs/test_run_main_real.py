"""The batch job with the real tools: killed, continued, tabulated and drawn."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from recorded_project import ROOT
from study_helpers import run_in_process

from wtaseg.cli import batch, report

CONFIG = """
_base_ = {base!r}
data_root = {data!r}
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
loader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, pipeline=pipeline))
train_dataloader = loader
val_dataloader = loader
test_dataloader = loader
model = dict(data_preprocessor=dict(size=(64, 64)))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=24, val_interval=8)
randomness = dict(seed=0)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=1, save_best='IoU.broken'))
"""


@pytest.fixture
def blades(tmp_path):
    """Dark squares with a golden and a silver spot; the path has a blank."""
    folder = tmp_path / 'my blades'
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 2), ('test', 2)):
        for kind in ('img_dir', 'ann_dir'):
            (folder / kind / split).mkdir(parents=True)
        for index in range(count):
            image = rng.integers(40, 80, (64, 64, 3), dtype=np.uint8)
            labels = np.zeros((64, 64), np.uint8)
            labels[8:20, 8 + index : 24], labels[40:44, 8:56] = 1, 2
            image[labels == 1], image[labels == 2] = (40, 160, 220), (230, 230, 230)
            cv2.imwrite(str(folder / f'img_dir/{split}/{split}{index}.png'), image)
            cv2.imwrite(str(folder / f'ann_dir/{split}/{split}{index}.png'), labels)
    return folder


def wait_for(path, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, 'the job ended before it could be killed'
        assert time.monotonic() < deadline, f'no {path} in {seconds} s'
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_job_continues(tmp_path, blades, monkeypatch, capfd):
    """The first job is a program of its own with a training of its own; what follows runs in this process."""
    base = ROOT / 'configs/fastscnn/fast_scnn_4xb4-40k_wta-512x512.py'
    config = tmp_path / 'configs/net/tiny.py'
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(base=str(base), data=str(blades)))
    flags = ['--project', 'p', '--gpus', '1', '--candidates', 'net/tiny']
    flags += ['--config-root', str(tmp_path / 'configs'), '--work-dir', str(tmp_path / 'work dirs')]
    environment = os.environ | {'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    project = tmp_path / 'work dirs/p'
    train, test = (project / 'exp/net/tiny' / stage for stage in ('train', 'test'))

    with (tmp_path / 'first').open('w') as log:
        command = ['bash', ROOT / 'bash/run_main.sh', *flags]
        job = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        wait_for(train / 'ckpt/iter_8.pth', job)
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    assert not (train / 'ckpt/iter_24.pth').exists()
    assert 'No CUDA device' in (tmp_path / 'first').read_text()

    run_in_process(monkeypatch)
    assert batch.main(flags, base=ROOT) == 0, capfd.readouterr()
    assert 'resuming the training' in capfd.readouterr().out
    first, second = sorted(train.glob('*/vis_data/*[0-9].json'))
    steps = [json.loads(line)['step'] for line in second.read_text().splitlines()]
    assert json.loads(first.read_text().splitlines()[0])['step'] == 1 and min(steps) >= 8 and max(steps) == 24
    for part in ('config.py', 'scalars.json', second.name, f'../{second.stem}.log'):
        assert (second.parent / part).is_file()
    # max_keep_ckpts=1: the best by the three metrics, the last, and save_best's own
    best = json.loads((project / 'job/net/tiny/state.json').read_text())['checkpoint']
    saved = {path.name for path in (train / 'ckpt').glob('iter_*')}
    assert saved == {'iter_24.pth', best.rpartition('/')[2]}
    assert list((train / 'ckpt').glob('best_IoU.broken_iter_*.pth')) and not list(train.glob('*.pth'))
    assert '| attached |' in (test / 'test_log.txt').read_text()[-6000:]
    pair = cv2.imread(str(test / 'test1.png'))
    # two panels of the image enlarged, with titles and a legend around them
    assert pair.shape[1] > 2 * 400 and pair.shape[0] > 400

    assert batch.main(flags, base=ROOT) == 0
    assert '0 done, 1 skipped, 0 failed' in capfd.readouterr().out

    for draw, expected in (
        (report.main_table, '| **Fast-SCNN** | Original |'),
        (report.main_curves, (project / 'curves/broken_iou.png').as_posix()),
        (report.main_overlays, 'overlays/test'),
    ):
        assert draw([str(project)]) == 0
        assert expected in capfd.readouterr().out
