"""``tools/train.py`` and ``tools/test.py`` as their users call them."""

import importlib.util
import os
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


def _tool(name: str):
    spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_train_flags(experiment, tmp_path, capsys):
    train = _tool('train')
    args = train.parse_args(['--resume', 'config.py'])
    assert (args.config, args.resume) == ('config.py', 'auto')
    args = train.parse_args(['config.py', '--resume', 'a.pth', '--local-rank', '1'])
    assert (args.config, args.resume, args.local_rank) == ('config.py', 'a.pth', 1)
    with pytest.raises(SystemExit):
        train.parse_args(['--amp'])
    assert 'the config is missing' in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r'absent\.py: no such config'):
        train.main(['absent.py'])
    config = _write(experiment(**{'optim_wrapper.type': 'OptimWrapperDict'}), tmp_path / 'wrapper.py')
    with pytest.raises(ValueError, match=r"--amp needs optim_wrapper\.type='OptimWrapper'"):
        train.main([config, '--amp'])


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
    told = f'saved {tmp_path / "killed/iter_3.pth"}; --resume goes on from there' in died.stdout + died.stderr
    assert told == (name == 'SIGTERM')

    train = _tool('train')
    train.main([resumed, '--resume'])
    train.main([whole])
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
    _tool('train').main([_write(experiment(work_dir=str(tmp_path / 'one'), **options), tmp_path / 'one.py')])
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
from mmseg.utils.launch import end_distributed_run

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


def test_test(experiment, tmp_path):
    train, test = _tool('train'), _tool('test')
    steps = [
        [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')],
    ]
    tta = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=steps)]
    cfg = experiment(tta_pipeline=tta, tta_model=dict(type='SegTTAModel'), **{'train_cfg.max_iters': 1})
    train.main([_write(cfg, tmp_path / 'train.py'), '--amp'])
    checkpoint = str(Path(cfg.work_dir) / 'iter_1.pth')

    # the data of training and validation is not needed
    for name in ('train', 'val'):
        cfg[f'{name}_dataloader'].dataset.data_root = 'absent'
    config = _write(cfg, tmp_path / 'test.py')
    out, shown = tmp_path / 'out', tmp_path / 'shown'
    test.main(
        [
            config,
            checkpoint,
            '--out',
            str(out),
            '--show-dir',
            str(shown),
            '--work-dir',
            str(tmp_path / 'test'),
        ]
    )
    names = sorted(f'{i}.png' for i in range(8))
    assert sorted(path.name for path in out.iterdir()) == names
    ids = mmcv.imread(str(out / '0.png'), 'unchanged')
    assert ids.shape == (64, 64)
    assert set(np.unique(ids)) <= {0, 1, 2}
    painted = sorted(path.name for path in (shown / 'vis_data/vis_image').iterdir())
    assert painted == [f'test_{name}_0.png' for name in names]

    cfg.experiment_name += '_tta'
    test.main([_write(cfg, tmp_path / 'tta.py'), checkpoint, '--tta', '--work-dir', str(tmp_path / 'tta')])
    for key in ('tta_model', 'tta_pipeline'):
        cfg.pop(key)
    with pytest.raises(ValueError, match='lacks tta_model and tta_pipeline'):
        test.main([_write(cfg, tmp_path / 'none.py'), checkpoint, '--tta'])


def test_smoke_and_from_scratch(experiment, blades, tmp_path):
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
    _tool('train').main([config, '--smoke'])
    assert (Path(cfg.work_dir) / 'iter_4.pth').is_file()
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        _tool('train').main([config])
    options = [
        '--cfg-options',
        'train_cfg.max_iters=1',
        'train_dataloader.num_workers=0',
        'experiment_name=scratch',
    ]
    options += ['train_dataloader.persistent_workers=False']
    _tool('train').main([config, '--from-scratch', *options])


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
