"""Checkpoints give tensors and plain values, and never run code."""

import sys
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope

from mmseg.apis import MMSegInferencer, init_model
from mmseg.engine import (
    BrokenCheckpointError,
    CheckpointMismatchError,
    UnsafeCheckpointError,
    build_runner,
    checkpoint_loading,
    load_checkpoint,
    read_checkpoint,
)
from mmseg.registry import MODELS


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


def init_weights(cfg):
    """What training does first."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        MODELS.build(cfg.model).init_weights()


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
        'backbone': lambda: init_weights(experiment(**{'model.backbone.init_cfg': pretrained})),
        'head': lambda: init_weights(experiment(**{'model.decode_head.init_cfg': pretrained})),
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
    with pytest.raises(BrokenCheckpointError, match='message_hub'):  # nothing to resume in it
        runner.train()
    assert not marker.exists()


def _model(*sizes: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in pairwise(sizes)))


@pytest.mark.parametrize(
    ('state', 'counts'),
    [
        (_model(4, 4).state_dict(), '2 missing (first: 1.weight)'),
        (_model(4, 4, 2, 2).state_dict(), '2 unexpected (first: 2.weight)'),
        (_model(4, 4, 5).state_dict(), '2 of another shape (first: 1.weight is 2x4, in the checkpoint 5x4)'),
        ({f'backbone.{key}': value for key, value in _model(4, 4, 2).state_dict().items()}, '0 fit'),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_counts(tmp_path, state, counts):
    path, model = _save(tmp_path, dict(state_dict=state)), _model(4, 4, 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointMismatchError) as refusal:
        load_checkpoint(model, path)
    assert path in str(refusal.value)
    assert counts in str(refusal.value)
    assert '\n' not in str(refusal.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_partial_load_says_how_much_was_loaded(tmp_path, monkeypatch):
    messages = []
    monkeypatch.setattr(checkpoint_loading, 'print_log', lambda text, *_: messages.append(text))
    saved, model = _model(4, 4, 5), _model(4, 4, 2)
    path = _save(tmp_path, dict(state_dict=saved.state_dict()))
    load_checkpoint(model, path, strict=False)
    assert torch.equal(model[0].weight, saved[0].weight)
    assert f'{path}: 2 of 4 tensors of the model loaded, 2 of another shape' in messages[0]
    with pytest.raises(CheckpointMismatchError, match='0 fit'):
        load_checkpoint(torch.nn.BatchNorm1d(3), path, strict=False)


@pytest.mark.parametrize('content', [dict(meta={}), dict(state_dict={}), dict(state_dict=None), {}])
def test_a_checkpoint_without_weights_is_refused(tmp_path, content):
    for strict in (True, False):
        with pytest.raises(BrokenCheckpointError, match=r'checkpoint\.pth: has no weights'):
            load_checkpoint(_model(4, 4), _save(tmp_path, content), strict=strict)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    state = _model(4, 4).state_dict()
    state['0.bias'][1] = value
    for strict in (True, False):
        with pytest.raises(BrokenCheckpointError, match=r'1 of 2 tensors hold NaN or infinite .*0\.bias'):
            load_checkpoint(_model(4, 4), _save(tmp_path, dict(state_dict=state)), strict=strict)


def test_every_way_to_load_refuses_damaged_records_and_weights_that_do_not_fit(tmp_path, experiment):
    """One flipped bit of a weight, which ``torch.load`` accepts, and the checkpoint of five classes."""
    model = init_model(experiment(), device='cpu')
    damaged = Path(_save(tmp_path, dict(state_dict=model.state_dict())))
    content = bytearray(damaged.read_bytes())
    weight = model.decode_head.conv_seg.weight.detach().numpy().tobytes()
    content[content.index(weight) + 1] ^= 1
    damaged.write_bytes(content)
    torch.load(damaged, weights_only=True)
    other = tmp_path / 'other.pth'
    state = init_model(experiment(**{'model.decode_head.num_classes': 5}), device='cpu').state_dict()
    torch.save(dict(state_dict=state), other)
    for path, message in ((damaged, 'wrong checksum'), (other, r'2 of another shape .*conv_seg')):
        ways = {
            'load_from': lambda path=path: build_runner(experiment(load_from=str(path))).test(),
            'resume': lambda path=path: build_runner(experiment(load_from=str(path), resume=True)).train(),
            'init_model': lambda path=path: init_model(experiment(), str(path), device='cpu'),
            'inferencer': lambda path=path: MMSegInferencer(experiment(), str(path), device='cpu'),
        }
        for way, load in ways.items():
            with pytest.raises(ValueError, match=message) as refusal:
                load()
            assert str(path) in str(refusal.value), way


def test_allow_partial_in_a_config_starts_a_training_with_what_fits(tmp_path, experiment):
    state = init_model(experiment(**{'model.decode_head.num_classes': 5}), device='cpu').state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    runner = build_runner(experiment(load_from=str(tmp_path / 'other.pth'), allow_partial=True))
    runner.load_or_resume()
    loaded = runner.model.state_dict()
    assert [key for key in state if not torch.equal(state[key], loaded[key])] == [
        'decode_head.conv_seg.weight',
        'decode_head.conv_seg.bias',
    ]
