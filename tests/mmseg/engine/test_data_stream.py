"""The stream of training samples is the same from any place on, for any number of workers and ranks."""

import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler as MMEngineSampler
from torch.utils.data import DataLoader

from mmseg.engine import data_stream
from mmseg.engine.data_stream import InfiniteSampler, StreamIndex, fetch_seeded, seed_generators


class _Draws:
    """A dataset whose samples are random numbers from all generators."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple:
        return index, random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


def _samples(count, workers=0, seek=None, seed=7):
    dataset = _Draws()
    sampler = InfiniteSampler(dataset, seed=seed)
    if seek is not None:
        sampler.seek(seek)
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=sampler,
        num_workers=workers,
        collate_fn=list,
        multiprocessing_context=None,
    )
    return [sample for batch in islice(loader, count) for sample in batch]


def test_order_equals_mmengine():
    ours, theirs = InfiniteSampler(_Draws(), seed=7), MMEngineSampler(_Draws(), seed=7)
    assert list(islice(ours, 23)) == list(islice(theirs, 23))
    ordered = InfiniteSampler(_Draws(), shuffle=False)
    ordered.seek(3)
    assert list(islice(ordered, 4)) == [3, 4, 0, 1]


def test_samples_depend_on_seed_and_position_only():
    expected = _samples(6)
    torch.rand(100)
    assert _samples(6) == expected
    assert _samples(6, workers=2) == expected
    assert _samples(2, seek=8) == expected[8:]
    assert _samples(6, seed=8) != expected
    assert len({sample[1] for sample in expected}) == 12


def test_generators_of_the_training_process_are_restored():
    def draw():
        return torch.rand(()).item(), np.random.rand(), random.random()  # noqa: NPY002

    seed_generators(0)
    expected = draw()
    seed_generators(0)
    seeded = fetch_seeded(_Draws(), [StreamIndex(1, (7, 0)), StreamIndex(1, (7, 1)), 2])
    assert draw() == expected
    assert seeded[0] != seeded[1] == (1, *seeded[1][1:])
    assert fetch_seeded(_Draws(), [StreamIndex(1, (7, 1))]) == seeded[1:2]


def test_ranks_share_one_stream(monkeypatch):
    whole = list(islice(InfiniteSampler(_Draws(), seed=7), 12))
    for rank in (0, 1):
        monkeypatch.setattr(data_stream, 'get_dist_info', lambda rank=rank: (rank, 2))
        part = list(islice(InfiniteSampler(_Draws(), seed=7), 6))
        assert part == whole[rank::2]
        assert [index.key for index in part] == [(7, position) for position in range(rank, 12, 2)]


def test_refuses_an_empty_dataset():
    with pytest.raises(ValueError, match='data_root'):
        InfiniteSampler([])
