"""The endless stream of training samples, reproducible from any position.

Every sample is seeded from (seed, its position in the stream). Its random augmentation depends neither on
the number of workers or ranks nor on earlier samples; a run resumed at iteration i starts at position i·batch
without decoding the samples before it.
"""

import itertools
import random
from collections.abc import Iterator, Sequence, Sized
from functools import partial

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler, get_worker_info

from mmseg.registry import DATA_SAMPLERS


def seed_generators(*key: int) -> None:
    """Seed ``random``, ``numpy.random`` and torch's CPU generator from a tuple of non-negative integers."""
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002  what mmcv's transforms draw from
    # torch.manual_seed would queue a call for each sample as long as CUDA is not initialised
    torch.default_generator.manual_seed(int(words[2]) << 32 | int(words[3]))


class StreamIndex(int):
    """A dataset index with the key, (seed, position), that its sample is seeded from."""

    key: tuple[int, int]

    def __new__(cls, index: int, key: tuple[int, int]) -> 'StreamIndex':
        self = super().__new__(cls, index)
        self.key = key
        return self

    def __reduce__(self) -> tuple:
        return StreamIndex, (int(self), self.key)


def fetch_seeded(dataset, indices: Sequence[int]) -> list:
    """Get the samples of one batch, each under its own seed.

    Without workers this runs in the training process, whose generators are restored afterwards.
    """
    in_worker = get_worker_info() is not None
    saved = None if in_worker else (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    try:
        samples = []
        for index in indices:
            if isinstance(index, StreamIndex):
                seed_generators(*index.key)
            samples.append(dataset[int(index)])
        return samples
    finally:
        if saved is not None:
            random.setstate(saved[0])
            np.random.set_state(saved[1])  # noqa: NPY002
            torch.set_rng_state(saved[2])


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler):
    """mmengine's ``InfiniteSampler`` with the same order of samples; it can start at any position.

    Rank r of w takes the positions r, r + w, r + 2w, … of one common stream, so that w ranks with a batch
    of b see in each step what one process with a batch of w·b sees.

    Args:
        dataset: the dataset. Its ``__getitems__`` (torch's hook for fetching a batch) is set, so that samples
            are seeded where they are loaded, in the workers.
        shuffle: a new permutation in each pass; else 0, 1, 2, … over and over.
        seed: the same on all ranks; None draws one and shares it.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        if len(dataset) == 0:
            raise ValueError(
                'the training dataset is empty; check data_root and data_prefix of train_dataloader.dataset'
            )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self._start = 0
        dataset.__getitems__ = partial(fetch_seeded, dataset)

    def seek(self, count: int, seed: int | None = None) -> None:
        """Start the next iterator after the first ``count`` samples of this rank; ``seed`` replaces the seed."""
        self._start = count
        if seed is not None:
            self.seed = seed

    def _stream(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            if self.shuffle:
                yield from torch.randperm(self.size, generator=generator).tolist()
            else:
                yield from range(self.size)

    def __iter__(self) -> Iterator[StreamIndex]:
        """The samples of this rank, without end, from the start set by :meth:`seek`."""
        first = self.rank + self._start * self.world_size
        positions = itertools.count(first, self.world_size)
        for index, position in zip(itertools.islice(self._stream(), first, None, self.world_size), positions):
            yield StreamIndex(index, (self.seed, position))

    def __len__(self) -> int:
        """Length of the dataset."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: an endless stream has no epochs. mmengine's hooks call this."""
