"""The config key ``training_step``."""

import pytest
import torch

from mmseg.engine import build_runner
from mmseg.engine.captured import StepSettings
from mmseg.utils.config_keys import check_options
from mmseg.utils.training_config import set_training_step


def test_defaults_and_values():
    default = StepSettings.from_config({})
    assert default.capture and default.autocast_dtype is torch.bfloat16 and default.uses_channels_last
    exact = StepSettings.from_config(dict(training_step=dict(dtype='float32', capture=False)))
    assert not exact.capture and exact.autocast_dtype is None and not exact.uses_channels_last
    assert StepSettings.from_config(
        dict(training_step=dict(dtype='float32', channels_last=True))
    ).uses_channels_last


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (dict(dtype='float16'), r"training_step\.dtype='float16'; expected one of bfloat16, float32"),
        (dict(capture='no'), r"training_step\.capture='no'; expected True or False"),
        (
            dict(channel_last=True),
            r'training_step\.channel_last is unknown; nearest: training_step\.channels_last',
        ),
        (False, r'training_step=False; expected dict\('),
    ],
)
def test_a_wrong_value_ends_a_run_at_its_start(experiment, value, message):
    with pytest.raises(ValueError, match=message):
        build_runner(experiment(training_step=value))


def test_flags_and_options(experiment):
    cfg = experiment()
    check_options(cfg, {'training_step.capture': False, 'training_step': dict(capture=False)})
    set_training_step(cfg, capture=False)
    set_training_step(cfg, dtype='float32')
    assert cfg.training_step == dict(capture=False, dtype='float32')
    with pytest.raises(
        ValueError, match=r'training_step\.captured is unknown; nearest: training_step\.capture'
    ):
        check_options(cfg, {'training_step.captured': False})
    with pytest.raises(ValueError, match='leave out --amp or --fp32'):
        set_training_step(experiment(**{'optim_wrapper.type': 'AmpOptimWrapper'}), dtype='float32')
