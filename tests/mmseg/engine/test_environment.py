"""Processes, packages and schedules around a run."""

import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from mmseg.engine import runner
from mmseg.utils import collect_env

SCHEDULES = Path(__file__).resolve().parents[3] / 'configs/_base_/schedules'


def test_collect_env_does_not_import_a_broken_torchvision(tmp_path, monkeypatch):
    (tmp_path / 'torchvision.py').write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    env = collect_env()
    assert env['PyTorch'] == torch.__version__
    assert 'MMSegmentation' in env
    assert 'torchvision' not in sys.modules


@pytest.mark.parametrize(
    ('launcher', 'given'),
    [
        ('slurm', dict(SLURM_PROCID='1', SLURM_NTASKS='4', SLURM_LOCALID='0')),
        (
            'mpi',
            dict(OMPI_COMM_WORLD_RANK='1', OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_RANK='0'),
        ),
    ],
)
def test_launchers_set_the_rank_of_each_process(monkeypatch, launcher, given):
    environment = given | dict(MASTER_ADDR='node1')
    monkeypatch.setattr(os, 'environ', environment)
    runner._launcher_environment(launcher)
    assert environment == given | dict(
        MASTER_ADDR='node1', MASTER_PORT='29500', RANK='1', WORLD_SIZE='4', LOCAL_RANK='0'
    )


# the rate at the end of schedule_40k_lr160k: 1e-4 + 9e-4 · (120,000 / 159,000) ^ 0.9
@pytest.mark.parametrize(('name', 'last'), [('schedule_40k', 1e-4), ('schedule_40k_lr160k', 7.986e-4)])
def test_learning_rate_of_schedules(name, last):
    cfg = Config.fromfile(SCHEDULES / f'{name}.py')
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optimizer.lr)
    wrapper = OptimWrapper(optimizer)
    schedulers = [PARAM_SCHEDULERS.build({**s, 'optimizer': wrapper}) for s in cfg.param_scheduler]
    rates = [optimizer.param_groups[0]['lr']]
    for _ in range(cfg.train_cfg.max_iters):
        for scheduler in schedulers:
            scheduler.step()
        rates.append(optimizer.param_groups[0]['lr'])
    assert rates[0] == pytest.approx(1e-6)
    assert max(rates) == pytest.approx(1e-3)
    assert rates[1000] == pytest.approx(1e-3, rel=1e-2)
    assert rates[-1] == pytest.approx(last, rel=1e-3)
