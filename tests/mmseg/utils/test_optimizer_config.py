"""An optimizer of another type than that of ``_base_`` needs ``_delete_``."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg.engine import build_runner
from mmseg.utils.launch import load_config

BASE = Path(__file__).parents[3] / 'configs/_base_/schedules'


def written(folder, optimizer, base='schedule_40k'):
    path = folder / 'mine.py'
    wrapper = f'optim_wrapper = dict(optimizer=dict({optimizer}))\n' if optimizer else ''
    path.write_text(f"_base_ = '{BASE / base}.py'\nmodel = dict(type='EncoderDecoder')\n{wrapper}")
    return path


@pytest.mark.parametrize(
    ('optimizer', 'base', 'previous', 'kept'),
    [
        (
            "type='SGD', lr=0.02, momentum=0.9",
            'schedule_40k',
            'AdamW',
            'betas=(0.9, 0.999), weight_decay=0.05',
        ),
        ("type='Adam'", 'schedule_40k', 'AdamW', 'weight_decay=0.05'),
        ("type='AdamW', lr=1e-4", 'schedule_80k', 'SGD', 'momentum=0.9, weight_decay=0.0005'),
    ],
)
def test_a_merged_optimizer_is_refused(tmp_path, optimizer, base, previous, kept):
    with pytest.raises(ValueError, match=rf'mine\.py: .* in {base}\.py {previous}') as refusal:
        load_config(written(tmp_path, optimizer, base))
    assert kept in str(refusal.value) and '_delete_=True' in str(refusal.value)


@pytest.mark.parametrize('optimizer', ['', 'lr=0.02', "type='AdamW', weight_decay=0.0"])
def test_settings_of_the_same_optimizer_are_merged(tmp_path, optimizer):
    merged = load_config(written(tmp_path, optimizer)).optim_wrapper.optimizer
    assert (merged.type, merged.betas) == ('AdamW', (0.9, 0.999))


def test_delete_takes_nothing_from_the_base(tmp_path):
    optimizer = load_config(written(tmp_path, "_delete_=True, type='SGD', lr=0.02")).optim_wrapper.optimizer
    assert optimizer == dict(type='SGD', lr=0.02)


def test_a_merged_optimizer_of_a_base_file_is_found(tmp_path):
    base = written(tmp_path, "type='SGD', lr=0.02")
    leaf = tmp_path / 'leaf.py'
    leaf.write_text("_base_ = './mine.py'\noptim_wrapper = dict(accumulative_counts=2)\n")
    with pytest.raises(ValueError, match=str(base)):
        load_config(leaf)


def test_a_runner_refuses_arguments_that_the_optimizer_does_not_take(experiment):
    cfg = experiment(**{'optim_wrapper.optimizer': dict(type='SGD', lr=0.1, betas=(0.9, 0.99))})
    with pytest.raises(ValueError, match=r'SGD does not take betas, .*_delete_=True'):
        build_runner(cfg)


ADAMW = ('schedule_40k', 'schedule_40k_lr160k', 'schedule_demo', 'schedule_300_frozen')


def test_every_schedule_is_accepted():
    for path in BASE.glob('*.py'):
        text = Config.fromfile(path).optim_wrapper.optimizer.type
        assert text == ('AdamW' if path.stem in ADAMW else 'SGD')
