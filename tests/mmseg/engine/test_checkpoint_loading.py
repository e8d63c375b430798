"""Checkpoints give tensors and plain values, and never run code."""

import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint

from mmseg.engine import BrokenCheckpointError, UnsafeCheckpointError


class _Stranger:
    """Any class of somebody else's."""


class _Burglar:
    """Runs a function while it is unpickled."""

    def __reduce__(self) -> tuple:
        return sys.exit, ('unpickled',)


class _GetattrBurglar:
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
    loaded = CheckpointLoader.load_checkpoint(_save(tmp_path, content), map_location='cpu')
    restored = loaded['message_hub']['log_scalars']['loss']
    assert isinstance(restored, HistoryBuffer)
    assert restored.mean() == 0.375  # (0.5 + 0.25) / 2
    assert loaded['message_hub']['runtime_info']['best'] == 0.7
    assert loaded['meta']['palette'].tolist() == [[0, 0, 0], [255, 0, 0]]
    assert torch.equal(loaded['state_dict']['weight'], torch.arange(3.0))


@pytest.mark.parametrize('zip_format', [True, False])
@pytest.mark.parametrize(
    ('content', 'named'), [(_Stranger, '_Stranger'), (_Burglar, 'sys.exit'), (_GetattrBurglar, 'getattr')]
)
def test_refuses_other_pickles(tmp_path, content, named, zip_format):
    path = _save(tmp_path, dict(state_dict={}, extra=content()), _use_new_zipfile_serialization=zip_format)
    with pytest.raises(UnsafeCheckpointError) as refusal:
        load_checkpoint(torch.nn.Linear(1, 1), path)
    assert path in str(refusal.value)
    assert named in str(refusal.value)
    assert 'add_safe_globals' in str(refusal.value)


def test_stays_safe_where_torch_is_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')
    monkeypatch.setattr(torch.load, '__kwdefaults__', {**torch.load.__kwdefaults__, 'weights_only': False})
    with pytest.raises(UnsafeCheckpointError):
        load_checkpoint(torch.nn.Linear(1, 1), _save(tmp_path, dict(state_dict=_Burglar())))


def test_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'absent.pth'))
    path = _save(tmp_path, dict(state_dict=dict(weight=torch.zeros(5000))))
    content = (tmp_path / 'checkpoint.pth').read_bytes()
    for rest in (content[: len(content) // 2], b''):
        (tmp_path / 'checkpoint.pth').write_bytes(rest)
        with pytest.raises(BrokenCheckpointError, match=r'checkpoint\.pth: not a whole checkpoint'):
            CheckpointLoader.load_checkpoint(path)
