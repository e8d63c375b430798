"""Counts of label maps are cached, and read again whenever a file has changed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg.datasets import label_scan
from mmseg.datasets.label_files import Problem
from mmseg.datasets.label_scan import scan_labels

OLD = 1_600_000_000


def save(path: Path, ids: list[int]) -> str:
    """A label map of 8 x 8 pixels whose first pixels have ``ids``, with an old time stamp."""
    labels = np.zeros((8, 8), np.uint8)
    labels.flat[: len(ids)] = ids
    Image.fromarray(labels).save(path)
    os.utime(path, ns=(OLD * 10**9,) * 2)
    return str(path)


def counts(*files: str) -> list[dict[int, int]]:
    return [{int(i): int(n[i]) for i in np.flatnonzero(n)} for _, (n, _) in scan_labels(files)]


@pytest.fixture
def decoded(tmp_path, monkeypatch) -> list[str]:
    """Names of the files that are decoded, with a cache of their own; time stamps count at once."""
    monkeypatch.setenv('WTA_SEG_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(label_scan, 'SETTLED', -1)
    names, decode = [], label_scan._decode
    monkeypatch.setattr(
        label_scan, '_decode', lambda file, content: names.append(Path(file).name) or decode(file, content)
    )
    return names


def test_every_file_is_decoded_once(tmp_path, decoded):
    files = [save(tmp_path / f'{i}.png', [1, 1, i]) for i in range(3)]
    expected = [{0: 62, 1: 2}, {0: 61, 1: 3}, {0: 61, 1: 2, 2: 1}]
    assert counts(*files) == expected
    assert counts(*files) == expected
    assert decoded == ['0.png', '1.png', '2.png']


def test_a_changed_file_is_read_again_whatever_its_time_stamp(tmp_path, decoded):
    file = save(tmp_path / 'a.png', [1])
    counts(file)
    size = Path(file).stat().st_size
    save(tmp_path / 'a.png', [2])  # of the same size and modification time
    assert Path(file).stat().st_size == size
    assert counts(file) == [{0: 63, 2: 1}]
    assert decoded == ['a.png', 'a.png']


def test_a_touched_file_is_not_decoded_again(tmp_path, decoded):
    file = save(tmp_path / 'a.png', [1])
    counts(file)
    os.utime(file)
    assert counts(file) == [{0: 63, 1: 1}]
    assert decoded == ['a.png']


def test_a_file_changed_just_now_is_hashed_again(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(label_scan, 'SETTLED', 100)
    file = save(tmp_path / 'a.png', [1])
    counts(file)
    (cache,) = (tmp_path / 'cache/labels').iterdir()
    assert json.loads(cache.read_text())['labels']['a.png'][:3] == [0, 0, 0]
    assert counts(file) == [{0: 63, 1: 1}]
    assert decoded == ['a.png']


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'[]',
        b'{"layout": 1}',
        b'\xff',
        b'[' * 100_000,
        b'{"layout": 1, "labels": {"a.png": [1, 2, 3, "", {"999": 1}]}}',
        b'{"layout": 1, "labels": {"a.png": [1, 2, 3, "", {"0": -1}]}}',
        b'{"layout": 1, "labels": {"a.png": 7}}',
    ],
)
def test_a_damaged_cache_is_ignored(tmp_path, decoded, content):
    file = save(tmp_path / 'a.png', [1])
    counts(file)
    (cache,) = (tmp_path / 'cache/labels').iterdir()
    cache.write_bytes(content)
    assert counts(file) == [{0: 63, 1: 1}]
    assert decoded == ['a.png', 'a.png']


def test_a_cache_that_can_not_be_written_is_done_without(tmp_path, decoded, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('WTA_SEG_CACHE', str(tmp_path / 'file'))
    file = save(tmp_path / 'a.png', [1])
    assert counts(file, file) == [{0: 63, 1: 1}] * 2


def test_problems_are_returned_and_not_cached(tmp_path, decoded):
    os.mkfifo(tmp_path / 'fifo.png')
    (tmp_path / 'text.png').write_text('text')
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'deep.png')
    files = [str(tmp_path / f'{name}.png') for name in ('fifo', 'text', 'absent', 'deep')]
    for _ in range(2):
        results = dict(scan_labels(files))
        assert [isinstance(results[file], Problem) for file in files] == [True, True, True, False]
        assert results[files[3]][1] == {300: 16}
