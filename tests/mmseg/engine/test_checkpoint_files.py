"""Atomic writes, and the last complete checkpoint of a run."""

import os

import pytest
import torch

from mmseg.engine import find_last_whole_checkpoint
from mmseg.engine.checkpoint_files import is_whole
from mmseg.utils.files import write_atomically


def _checkpoint(folder, step, age=0):
    path = folder / f'iter_{step}.pth'
    torch.save(dict(step=torch.full((2000,), step)), path)
    _age(path, age)
    return path


def _age(path, seconds):
    os.utime(path, (1_700_000_000 - seconds,) * 2)


def _point(folder, path, age=0):
    (folder / 'last_checkpoint').write_text(str(path))
    _age(folder / 'last_checkpoint', age)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / 'new' / 'file.bin'
    write_atomically(target, b'old')

    def fail(descriptor):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        write_atomically(target, b'new')
    assert target.read_bytes() == b'old'
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['file.bin']


def test_resumes_from_the_pointer_or_a_later_checkpoint(tmp_path):
    early, late = _checkpoint(tmp_path, 900, age=30), _checkpoint(tmp_path, 1000, age=10)
    assert find_last_whole_checkpoint(tmp_path) == str(late)
    _point(tmp_path, early, age=20)  # killed between the file and the pointer
    assert find_last_whole_checkpoint(tmp_path) == str(late)


def test_ignores_checkpoints_of_an_earlier_run(tmp_path):
    _checkpoint(tmp_path, 40000, age=500)
    new = _checkpoint(tmp_path, 4000, age=20)
    _point(tmp_path, new, age=19)
    assert find_last_whole_checkpoint(tmp_path) == str(new)


def test_skips_a_broken_file_with_a_warning(tmp_path):
    whole, broken = _checkpoint(tmp_path, 2), _checkpoint(tmp_path, 4)
    _cut(broken)
    _point(tmp_path, broken)
    assert not is_whole(broken)
    with pytest.warns(UserWarning, match=r'iter_4\.pth is truncated'):
        assert find_last_whole_checkpoint(tmp_path) == str(whole)


def test_checkpoints_in_another_folder(tmp_path):
    other_folder = tmp_path / 'ckpt'
    other_folder.mkdir()
    path = _checkpoint(other_folder, 2)
    assert find_last_whole_checkpoint(tmp_path) is None
    assert find_last_whole_checkpoint(tmp_path, other_folder) == str(path)
    _point(tmp_path, path)
    assert find_last_whole_checkpoint(tmp_path) == str(path)


def test_a_moved_work_folder(tmp_path):
    path = _checkpoint(tmp_path, 2)
    _point(tmp_path, '/gone/iter_2.pth')
    assert find_last_whole_checkpoint(tmp_path) == str(path)
