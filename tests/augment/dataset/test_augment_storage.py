"""Atomic writes, the inversion cache, and the processes of a run."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from augment.config import AugmentConfig
from augment.dataset.cache import InversionCache, inversion_key
from augment.dataset.packed import PackedArray
from augment.dataset.pieces import Piece, without_broken
from augment.diffusion.inverted import BranchSettings, Inversion
from augment.diffusion.model import NonFiniteError
from augment.files import TEMPORARY, json_line, unwritable, write_bytes
from augment.processes import Processes
from augment.progress import Bars
from augment.safeguards import memory_remedy, reproducible


def make_inversion(seed: int = 0) -> Inversion:
    noise = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=noise)

    stats = {'inner_steps': [3], 'inner_losses': [[[0.5, 0.25]]], 'final_losses': [[0.125]]}
    settings = BranchSettings('photo of a crack', 15.0, 0.1)
    return Inversion(
        random(1, 4, 2, 2), random(4, 1, 4, 2, 2), settings, random(3, 1, 77, 8), random(3, 1, 4), stats
    )


def make_key(**changes):
    where = {'fingerprint': 'f', 'device': 'cpu', 'image_sha256': 'a', 'box': (0, 0, 8, 8), 'size': (64, 64)}
    config = AugmentConfig(**{k: v for k, v in changes.items() if k not in where})
    return inversion_key(config, **where | {k: v for k, v in changes.items() if k in where})


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.bin'
    write_bytes(path, b'old')
    with pytest.raises(TypeError):
        write_bytes(path, 'no bytes')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OSError, match=r'cannot write .*folder'):
        write_bytes(tmp_path / 'folder', b'new')  # a folder cannot be replaced by a file
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(TEMPORARY)] == []


def test_full_disk_names_path_and_remedy():
    with Path('/dev/full').open('wb', buffering=0) as full, pytest.raises(OSError) as raised:
        full.write(b'x')
    error = unwritable(Path('/tmp/a.png'), raised.value)
    assert error.errno == errno.ENOSPC
    assert 'disk full while writing /tmp/a.png' in str(error) and 'Free some space' in str(error)


def test_json_refuses_nan():
    assert json_line({'b': 1, 'a': 'ä'}) == '{"a": "ä", "b": 1}\n'
    with pytest.raises(ValueError):
        json_line({'psnr': float('nan')})


def test_inversion_is_restored_exactly_and_with_the_same_bytes(tmp_path):
    cache, key, inversion = InversionCache(tmp_path), make_key(), make_inversion()
    assert cache.load(key) is None
    cache.save(key, inversion)
    first = cache.path(key).read_bytes()
    loaded = cache.load(key)
    assert loaded.stats == inversion.stats and loaded.settings == inversion.settings and loaded.steps == 3
    for name, tensor in inversion.tensors().items():
        assert torch.equal(loaded.tensors()[name], tensor), name
    cache.save(key, loaded)
    assert cache.path(key).read_bytes() == first


@pytest.mark.parametrize(
    'change',
    [
        {'image_sha256': 'b'},
        {'box': (0, 0, 8, 9)},
        {'size': (64, 128)},
        {'fingerprint': 'g'},
        {'device': 'cuda'},
        {'source_prompt': 'photo of rust'},
        {'steps': 49},
        {'guidance': 14.5},
        {'rli_alpha': 0.2},
        {'inversion': 'ddim'},
        {'inner_steps': 9},
        {'dtype': 'fp32'},
        {'size_condition': 'true'},
    ],
)
def test_everything_an_inversion_depends_on_is_in_its_key(tmp_path, change):
    cache = InversionCache(tmp_path)
    assert cache.path(make_key()) != cache.path(make_key(**change))


def test_words_and_edit_parameters_share_the_inversion(tmp_path):
    changes = {
        'word': ['rust'],
        'eq': 3.0,
        'cross': 0.8,
        'self_replace': 0.0,
        'blend': 'none',
        'min_psnr': 1.0,
    }
    assert make_key(**changes) == make_key()


def test_damaged_inversion_is_recomputed(tmp_path, caplog):
    cache, key = InversionCache(tmp_path), make_key()
    cache.save(key, make_inversion())
    path = cache.path(key)
    path.write_bytes(path.read_bytes()[:-10])
    assert cache.load(key) is None
    assert path.name in caplog.text


def test_cache_can_be_off():
    cache = InversionCache(None)
    cache.save(make_key(), make_inversion())
    cache.clean()
    assert cache.load(make_key()) is None


def test_packed_arrays_are_restored_to_the_bit():
    random = np.random.default_rng(0)
    for array in (
        random.random((5, 7)).astype(np.float32),
        random.random((3, 4)) > 0.5,
        np.zeros((2, 2), np.uint8),
    ):
        packed = PackedArray.pack(array)
        assert packed.array().dtype == array.dtype and np.array_equal(packed.array(), array)
    assert len(PackedArray.pack(np.zeros((512, 512), np.float32)).content) < 10_000


def test_only_the_images_that_overflow_are_left_out():
    pieces = [Piece(None, None, None, np.full((1, 1, 3), n, np.uint8)) for n in range(5)]
    tried = []

    def work(batch):
        tried.append([int(p.source[0, 0, 0]) for p in batch])
        broken = [n for n, p in enumerate(batch) if p.source[0, 0, 0] in (1, 4)]
        if broken:
            raise NonFiniteError('sampling', broken[:1])

    without_broken(pieces, work)
    assert tried == [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0, 2, 3]]
    assert [p.problem for p in pieces] == ['', 'non-finite values after sampling'] + [''] * 2 + [
        pieces[1].problem
    ]


@pytest.mark.parametrize(('wanted', 'message'), [('gpu', 'is no device'), ('cuda:99', 'CUDA devices found')])
def test_devices_that_do_not_exist_are_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        Processes().device(wanted)
    assert Processes().device('cpu') == 'cpu'


def test_a_full_gpu_names_the_remedy():
    message = r'batch_size=16 at resolution=1024; .* smaller --batch-size'
    config = AugmentConfig(batch_size=16, resolution=1024)
    with pytest.raises(MemoryError, match=message), memory_remedy(config):
        raise torch.OutOfMemoryError('CUDA out of memory')


def test_random_state_and_kernels_are_as_before_after_a_run():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with reproducible(3):
        assert torch.are_deterministic_algorithms_enabled()
        first = torch.rand(4)
    with reproducible(3):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before) and not torch.are_deterministic_algorithms_enabled()


def test_long_batches_show_their_steps_in_the_log(caplog, monkeypatch):
    caplog.set_level('INFO')
    clock = [0.0]
    monkeypatch.setattr('augment.progress.time.monotonic', lambda: clock[0])
    bars = Bars()
    bars.plain = True
    report = bars.stage('invert')
    for step in range(1, 9):
        clock[0] += 10.0
        report(step, 8)
    assert [record.message for record in caplog.records] == [
        'invert: step 3 of 8, 0:00:50 to go',
        'invert: step 6 of 8, 0:00:20 to go',
    ]


def test_progress_shows_rate_and_remaining_time(caplog):
    caplog.set_level('INFO')
    with Bars() as bars:
        bars.plain = True
        bars.start(4)
        report = bars.stage('invert')
        report(1, 2)
        bars.finished(1)
        bars.finished(0)
        bars.finished(3)
    lines = [record.message for record in caplog.records]
    assert len(lines) == 2
    assert lines[1].startswith('4 of 4 edits, ') and lines[1].endswith('/min, 0:00:00 to go')
