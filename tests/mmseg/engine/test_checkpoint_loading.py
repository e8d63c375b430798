"""Checkpoints give tensors and plain values, and never run code."""

import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope

from mmseg.apis import MMSegInferencer, init_model
from mmseg.engine import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
    build_runner,
    load_checkpoint,
    read_checkpoint,
)


class _Foreign:
    """Any class that is not admitted."""


class _Exploit:
    """Runs a function while it is unpickled."""

    def __reduce__(self) -> tuple:
        return sys.exit, ('unpickled',)


class _GetattrExploit:
    """Reaches through ``getattr``, which log histories are pickled with."""

    def __reduce__(self) -> tuple:
        return getattr, (HistoryBuffer, '__init__')


def _save(tmp_path, content, **options) -> str:
    path = str(tmp_path / 'checkpoint.pth')
    torch.save(content, path, **options)
    return path


def test_loads_what_mmengine_writes(tmp_path):
    history = HistoryBuffer([0.5, 0.25], [1, 1])
    content = dict(
        meta=dict(iter=2, palette=np.array([[0, 0, 0], [255, 0, 0]], np.uint8)),
        message_hub=dict(log_scalars=OrderedDict(loss=history), runtime_info=dict(best=np.float64(0.7))),
        state_dict=OrderedDict(weight=torch.arange(3.0)),
    )
    loaded = read_checkpoint(_save(tmp_path, content), map_location='cpu')
    restored = loaded['message_hub']['log_scalars']['loss']
    assert isinstance(restored, HistoryBuffer)
    assert restored.mean() == 0.375  # (0.5 + 0.25) / 2
    assert loaded['message_hub']['runtime_info']['best'] == 0.7
    assert loaded['meta']['palette'].tolist() == [[0, 0, 0], [255, 0, 0]]
    assert torch.equal(loaded['state_dict']['weight'], torch.arange(3.0))


@pytest.mark.parametrize('zip_format', [True, False])
@pytest.mark.parametrize(
    ('content', 'named'), [(_Foreign, '_Foreign'), (_Exploit, 'sys.exit'), (_GetattrExploit, 'getattr')]
)
def test_refuses_other_pickles(tmp_path, content, named, zip_format):
    path = _save(tmp_path, dict(state_dict={}, extra=content()), _use_new_zipfile_serialization=zip_format)
    with pytest.raises(UnsafeCheckpointError) as refusal:
        load_checkpoint(torch.nn.Linear(1, 1), path)
    assert path in str(refusal.value)
    assert named in str(refusal.value)
    assert 'add_safe_globals' in str(refusal.value)


def test_is_safe_even_if_torch_defaults_to_unpickling(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')
    monkeypatch.setattr(torch.load, '__kwdefaults__', {**torch.load.__kwdefaults__, 'weights_only': False})
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint(torch.nn.Linear(1, 1), _save(tmp_path, dict(state_dict=_Exploit())))


def test_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        read_checkpoint(str(tmp_path / 'absent.pth'))
    path = _save(tmp_path, dict(state_dict=dict(weight=torch.zeros(5000))))
    content = (tmp_path / 'checkpoint.pth').read_bytes()
    for rest in (content[: len(content) // 2], b''):
        (tmp_path / 'checkpoint.pth').write_bytes(rest)
        with pytest.raises(BrokenCheckpointError, match=r'checkpoint\.pth: not a whole checkpoint'):
            read_checkpoint(path)


@pytest.mark.filterwarnings('ignore:the default scope was')
def test_every_way_to_load_refuses_code(tmp_path, experiment):
    path = _save(tmp_path, dict(state_dict={}, meta={}, extra=_Exploit()))
    pretrained = dict(type='Pretrained', checkpoint=path)
    ways = {
        'load_from': lambda: build_runner(experiment(load_from=path)).test(),
        'resume': lambda: build_runner(experiment(load_from=path, resume=True)).train(),
        'init_model': lambda: init_model(experiment(), path, device='cpu'),
        'inferencer': lambda: MMSegInferencer(experiment(), path, device='cpu'),
        'inferencer without config': lambda: MMSegInferencer(None, path, device='cpu'),
        'backbone': lambda: init_model(experiment(**{'model.backbone.init_cfg': pretrained}), device='cpu'),
        'head': lambda: init_model(experiment(**{'model.decode_head.init_cfg': pretrained}), device='cpu'),
    }
    for way, load in ways.items():
        with (
            DefaultScope.overwrite_default_scope('mmengine'),
            pytest.raises(ValueError, match=r'refused, because it holds') as refusal,
        ):
            load()
        assert 'sys.exit' in str(refusal.value), way


def test_a_config_in_a_checkpoint_is_not_executed(tmp_path, experiment):
    marker = tmp_path / 'executed'
    text = f'open({str(marker)!r}, "w").close()'
    state = init_model(experiment(), device='cpu').state_dict()
    path = _save(tmp_path, dict(state_dict=state, meta=dict(cfg=text, config=text, epoch=0, iter=0)))
    with pytest.raises(ValueError, match=r'checkpoint\.pth: line 1 .* is not a plain value'):
        MMSegInferencer(None, path, device='cpu')
    runner = build_runner(experiment(load_from=path, resume=True))
    with pytest.raises(KeyError, match='message_hub'):  # nothing to resume in it
        runner.train()
    assert not marker.exists()
