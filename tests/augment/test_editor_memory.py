"""The editor when the memory of the GPU runs out."""

import pytest
import torch

from augment.config import AugmentConfig
from augment.dataset.manifest import Manifest
from augment.editor import Editor


@pytest.fixture
def editor(tiny_model, tmp_path):
    return Editor(AugmentConfig(batch_size=8, cache='none'), tiny_model, Manifest(tmp_path))


def test_batches_are_halved_until_they_fit(editor, tiny_model, monkeypatch, caplog):
    released, tried, done = [], [], []
    monkeypatch.setattr(tiny_model, 'release', lambda: released.append(1))

    def work(part):
        tried.append(len(part))
        if len(part) > 3:
            raise torch.OutOfMemoryError('CUDA out of memory')
        done.extend(part)

    editor.within_memory(list(range(8)), work)
    assert tried == [8, 4, 2, 2, 2, 2] and done == list(range(8))
    assert len(released) == 2  # captured graphs hold memory
    assert [record.message.split(';')[1].split('(')[0].strip() for record in caplog.records] == [
        'continuing with batches of 4',
        'continuing with batches of 2',
    ]
    tried.clear()
    editor.within_memory([1, 2, 3, 4, 5], work)
    assert tried == [2, 2, 1]  # the smaller size stays


def test_a_single_image_that_does_not_fit_is_an_error(editor):
    def work(part):
        raise torch.OutOfMemoryError('CUDA out of memory')

    with pytest.raises(torch.OutOfMemoryError):
        editor.within_memory([1, 2], work)
    assert editor.batch_size == 1
