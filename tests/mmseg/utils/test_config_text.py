"""The config text that mmengine writes is read back without executing it."""

import pytest
from mmengine.config import Config

from mmseg.utils.config_text import read_config_text


def test_reads_what_mmengine_writes(experiment, monkeypatch):
    monkeypatch.undo()  # the fixture replaces the formatter of configs
    cfg = experiment(**{'optim_wrapper.paramwise_cfg': {'custom_keys': {'.backbone.a': dict(lr_mult=-0.1)}}})
    assert read_config_text(cfg.pretty_text, 'run').to_dict() == cfg.to_dict()
    plain = Config(dict(a=(1, -2.5), b=None, c=dict(d=[True, 'x']), e=float('inf'), f={1: -float('inf')}))
    assert read_config_text(plain.pretty_text, 'run').to_dict() == plain.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = open("x", "w")',
        'a = dict(__import__("os"))',
        'a = [x for x in ()]',
        'a = 1 + 1',
        'a.b = 1',
        'a = b = 1',
        'print(1)',
        'a = (',
        'a = infinity',
        'a = {b: 1}',
        'a = dict([1])',
    ],
)
def test_refuses_everything_else(text):
    with pytest.raises(ValueError, match=r'^work/config\.py: '):
        read_config_text(text, 'work/config.py')
