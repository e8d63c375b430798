"""``wta-seg train`` and ``wta-seg test``, also by the scripts in ``tools/``."""

import copy
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg.utils.smoke import shrink
from wtaseg import training
from wtaseg.cli import main as wta_seg
from wtaseg.cli import test, train

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')

KILLER = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class KillerHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == {iteration}:
            os.kill(os.getpid(), signal.{signal})
"""


def _environment(*paths: Path) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, *paths, *filter(None, [os.environ.get('PYTHONPATH')]))))
    return os.environ | dict(
        PYTHONPATH=path, PYTHON=sys.executable, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES=''
    )


def _write(cfg: Config, path: Path) -> str:
    cfg.dump(path)
    return str(path)


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)['state_dict']


def test_train_flags(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(training, 'train', lambda experiment, *options: calls.append((experiment, *options)))
    flags = ['--amp', '--cfg-options', 'a=1', 'b=[2,3]', '--local_rank', '1', '--data', 'data/mine']
    for argv, config, resume in (
        (['--resume', 'config.py'], 'config.py', 'auto'),
        (['--resume', 'fastscnn/name'], 'fastscnn/name', 'auto'),
        (['config.py', '--resume'], 'config.py', 'auto'),
        (['config.py', '--resume', 'a.pth'], 'config.py', 'a.pth'),
        (['--resume', 'a.pth', 'config.py'], 'config.py', 'a.pth'),
        (['config.py'], 'config.py', None),
    ):
        assert train.main([*argv, *flags]) == 0
        experiment = training.Experiment(config, Path('data/mine'), None, ('a=1', 'b=[2,3]'), 'none', 1)
        assert calls.pop() == (experiment, training.TrainOptions(resume, True))
    twice = ['config.py', '--resume', 'a.pth', 'b.pth']
    for argv in (['--amp'], ['--resume'], ['--resume', 'a.pth'], twice, ['config.py', '--launcher', 'bus']):
        assert train.main(argv) == 2
    assert 'the config is missing' in capsys.readouterr().err
    assert not calls


def test_an_error_in_user_input_is_one_line(experiment, tmp_path, capsys, monkeypatch):
    config = _write(experiment(**{'optim_wrapper.type': 'OptimWrapperDict'}), tmp_path / 'wrapper.py')
    for argv, error, message in (
        (['absent.py'], FileNotFoundError, r'absent\.py does not exist'),
        ([config, '--amp'], ValueError, r"--amp needs optim_wrapper\.type='OptimWrapper'"),
    ):
        assert wta_seg(['train', *argv]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert re.match(f'wta-seg train: .*{message}', line)
        with monkeypatch.context() as patch, pytest.raises(error, match=message):
            patch.setenv('WTA_SEG_TRACEBACK', '1')
            wta_seg(['train', *argv])


def test_data_replaces_the_root_of_every_split(experiment, blades, tmp_path):
    cfg = experiment()
    inner = cfg.train_dataloader.dataset
    other = copy.deepcopy(inner)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[inner, other])
    )
    training.set_data_root(cfg, blades.parent, checked=())
    roots = [cfg[f'{split}_dataloader'].dataset.data_root for split in ('val', 'test')]
    joined = cfg.train_dataloader.dataset.dataset.datasets
    assert [*roots, *(dataset.data_root for dataset in joined)] == [str(blades.parent)] * 4
    with pytest.raises(FileNotFoundError, match=r'img_dir/train does not exist, which the train split needs'):
        training.set_data_root(cfg, tmp_path)
    other.data_root = 'elsewhere'
    cfg.train_dataloader.dataset.dataset.datasets[1] = other
    with pytest.raises(ValueError, match=r'joins datasets in .* and elsewhere'):
        training.set_data_root(cfg, blades)


@pytest.mark.parametrize(
    ('name', 'iteration', 'status', 'left'),
    [('SIGKILL', 3, -signal.SIGKILL, {'iter_2.pth'}), ('SIGTERM', 2, 143, {'iter_2.pth', 'iter_3.pth'})],
)
def test_a_killed_run_goes_on_to_the_same_weights(experiment, tmp_path, name, iteration, status, left):
    (tmp_path / 'killer.py').write_text(KILLER.format(iteration=iteration, signal=name))
    cfg = experiment(work_dir=str(tmp_path / 'whole'))
    whole = _write(cfg, tmp_path / 'whole.py')
    cfg = experiment(work_dir=str(tmp_path / 'killed'))
    resumed = _write(cfg, tmp_path / 'resumed.py')
    cfg.custom_imports = dict(imports=['killer'])
    cfg.custom_hooks = [dict(type='KillerHook')]
    killed = _write(cfg, tmp_path / 'killed.py')

    command = [sys.executable, str(ROOT / 'tools/train.py'), killed]
    died = subprocess.run(command, env=_environment(tmp_path), capture_output=True, text=True, timeout=300)
    assert died.returncode == status, died.stderr
    assert 'No CUDA device: training on the CPU' in died.stdout + died.stderr
    assert {path.name for path in (tmp_path / 'killed').glob('*.pth')} == left
    told = f'saved {tmp_path / "killed/iter_3.pth"}; --resume ' in died.stdout + died.stderr
    assert told == (name == 'SIGTERM')

    assert train.main([resumed, '--resume']) == 0
    assert train.main([whole]) == 0
    expected, actual = (_weights(tmp_path / name / 'iter_4.pth') for name in ('whole', 'killed'))
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_two_processes_train_what_one_does(experiment, tmp_path):
    """Their batches of two are the halves of one batch of four, and DDP means their gradients.

    No pixel is ignored and all crops have one size, so that the mean of the means is the mean of all.
    """
    options = {
        'model.decode_head.dropout_ratio': 0,
        'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9),
    }
    two = _write(experiment(work_dir=str(tmp_path / 'two'), **options), tmp_path / 'two.py')
    script = ['bash', str(ROOT / 'tools/dist_train.sh'), two, '2']
    ran = subprocess.run(script, env=_environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr

    options |= {'train_dataloader.batch_size': 4}
    one = _write(experiment(work_dir=str(tmp_path / 'one'), **options), tmp_path / 'one.py')
    assert train.main([one]) == 0
    start = _weights(tmp_path / 'one' / 'iter_2.pth')
    expected, actual = (_weights(tmp_path / name / 'iter_4.pth') for name in ('one', 'two'))
    moved = max((expected[name] - start[name]).abs().max().item() for name in expected)
    assert moved > 1e-2
    for name in expected:
        # sums of 2 + 2 and of 4 images are rounded differently, which ReLUs near zero make more of on some processors;
        # a wrong gradient would be off by what has moved
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-4, atol=moved / 100)


def test_a_distributed_run_ends_tidily(tmp_path):
    code = f"""
import atexit
import torch.distributed as dist
from wtaseg.cli.lean_imports import without_transformers
with without_transformers():
    from mmseg.utils.distributed_run import end_distributed_run

end_distributed_run()
print('alone, a program goes on')
dist.init_process_group('gloo', init_method='file://{tmp_path}/meeting', rank=0, world_size=1)
atexit.register(print, 'tidied up')
end_distributed_run()
print('not reached')
"""
    ran = subprocess.run(
        [sys.executable, '-c', code], env=_environment(), capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ['alone, a program goes on', 'tidied up']


def test_test(experiment, tmp_path, capsys):
    steps = [
        [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ]
    tta = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=steps)]
    cfg = experiment(tta_pipeline=tta, tta_model=dict(type='SegTTAModel'), **{'train_cfg.max_iters': 1})
    assert train.main([_write(cfg, tmp_path / 'train.py'), '--amp']) == 0
    checkpoint = str(Path(cfg.work_dir) / 'iter_1.pth')

    # the data of training and validation is not needed
    for name in ('train', 'val'):
        cfg[f'{name}_dataloader'].dataset.data_root = 'absent'
    config = _write(cfg, tmp_path / 'test.py')
    out, drawn = tmp_path / 'out', tmp_path / 'drawn'
    argv = [config, checkpoint, '--out', str(out), '--show-dir', str(drawn)]
    assert test.main([*argv, '--work-dir', str(tmp_path / 'test')]) == 0
    names = sorted(f'{i}.png' for i in range(8))
    assert sorted(path.name for path in out.iterdir()) == names
    ids = mmcv.imread(str(out / '0.png'), 'unchanged')
    assert ids.shape == (64, 64)
    assert set(np.unique(ids)) <= {0, 1, 2}
    painted = sorted(path.name for path in (drawn / 'vis_data/vis_image').iterdir())
    assert painted == [f'test_{name}_0.png' for name in names]

    cfg.experiment_name += '_tta'
    argv = [_write(cfg, tmp_path / 'tta.py'), checkpoint, '--tta', '--work-dir', str(tmp_path / 'tta')]
    assert test.main(argv) == 0
    for key in ('tta_model', 'tta_pipeline'):
        cfg.pop(key)
    assert test.main([_write(cfg, tmp_path / 'none.py'), checkpoint, '--tta']) == 1
    assert 'lacks tta_model and tta_pipeline' in capsys.readouterr().err


def test_smoke_and_from_scratch(experiment, tmp_path, capsys):
    cfg = experiment(
        **{
            'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='absent.pth'),
            'model.test_cfg': dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
            'train_cfg.max_iters': 40000,
            'train_dataloader.num_workers': 4,
            'train_dataloader.persistent_workers': True,
            'train_dataloader.dataset.pipeline.2.crop_size': (512, 512),
            'model.data_preprocessor.size': (512, 512),
        },
    )
    config = _write(cfg, tmp_path / 'big.py')
    assert train.main([config, '--smoke']) == 0
    assert (Path(f'{cfg.work_dir}_smoke') / 'iter_4.pth').is_file()
    assert not Path(cfg.work_dir).exists()
    assert train.main([config]) == 1
    assert 'absent.pth' in capsys.readouterr().err
    options = [
        '--cfg-options',
        'train_cfg.max_iters=1',
        'train_dataloader.num_workers=0',
        'experiment_name=scratch',
    ]
    options += ['train_dataloader.persistent_workers=False']
    assert train.main([config, '--from-scratch', *options]) == 0


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_becomes_small(path):
    cfg = shrink(Config.fromfile(path))
    side = 64
    assert cfg.train_cfg.max_iters == 4
    assert cfg.train_dataloader.num_workers == 0
    assert tuple(cfg.model.data_preprocessor['size']) == (side, side)
    crops = [
        step for step in cfg.train_dataloader.dataset.get('pipeline', []) if step['type'] == 'RandomCrop'
    ]
    assert all(step['crop_size'] == (side, side) for step in crops)
    assert cfg.param_scheduler
    assert max(scheduler['end'] for scheduler in cfg.param_scheduler) == 4
    assert 'Pretrained' not in str(cfg.model)
