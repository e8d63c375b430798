# ruff: noqa: NPY002 - numpy's global state is what a worker seeds and a resumed run restores
"""Dataset wrappers: for transforms that need several images, and for drawing images by their classes."""

import copy
from collections.abc import Sequence

import numpy as np
from mmengine.dataset import BaseDataset, ConcatDataset, force_full_init
from mmengine.registry import DefaultScope

from mmseg.registry import DATASETS, TRANSFORMS

from .basesegdataset import BaseSegDataset, default_scope
from .label_counts import class_counts


class _Wrapper:
    """Base class of the wrappers: the wrapped dataset's length, items and meta information."""

    def __init__(self, dataset: BaseDataset | ConcatDataset | dict, lazy_init: bool) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        if not isinstance(dataset, (BaseDataset, ConcatDataset)):
            raise TypeError(f'dataset must be a config or a dataset of mmengine, got {type(dataset)}.')
        self.dataset = dataset
        self._metainfo = dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """A copy of the wrapped dataset's meta information."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """List the wrapped dataset's items."""
        if not self._fully_initialized:
            self.dataset.full_init()
            self._fully_initialized = True

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """The wrapped dataset's item before its pipeline."""
        return self.dataset.get_data_info(idx)

    @force_full_init
    def __len__(self) -> int:
        return len(self.dataset)


@DATASETS.register_module()
class MultiImageMixDataset(_Wrapper):
    """Runs a pipeline whose transforms may use further images of the wrapped dataset.

    A transform with ``get_indices(dataset) -> int | list[int]`` gets these items, loaded by the wrapped
    dataset's pipeline, in ``results['mix_results']``. For a transform with ``prepare(dataset)``, that method is
    called once with the dataset, before workers start.

    Args:
        dataset: The wrapped dataset; its pipeline usually only loads.
        pipeline: Transform configs.
        skip_type_keys: Names of transforms to skip at first, see :meth:`update_skip_type_keys`.
        lazy_init: Do not read the disk before the first use.
    """

    def __init__(
        self,
        dataset: ConcatDataset | dict,
        pipeline: Sequence[dict],
        skip_type_keys: list[str] | None = None,
        lazy_init: bool = False,
    ) -> None:
        if not isinstance(pipeline, Sequence):
            raise TypeError(f'pipeline must be a list of dicts, got {type(pipeline)}.')
        self.pipeline = []
        self.pipeline_types = []
        for step in pipeline:
            if not isinstance(step, dict):
                raise TypeError(f'pipeline must be a list of dicts, got an entry {step!r}.')
            self.pipeline_types.append(step['type'])
            with DefaultScope.overwrite_default_scope(default_scope()):
                self.pipeline.append(TRANSFORMS.build(step))
        self._skip_type_keys = None
        if skip_type_keys is not None:
            self.update_skip_type_keys(skip_type_keys)
        super().__init__(dataset, lazy_init)

    def full_init(self) -> None:
        """List the items and call ``prepare`` of the transforms."""
        if self._fully_initialized:
            return
        super().full_init()
        for transform in self.pipeline:
            if hasattr(transform, 'prepare'):
                transform.prepare(self.dataset)

    @force_full_init
    def __getitem__(self, idx: int) -> dict | None:
        results = copy.deepcopy(self.dataset[idx])
        for transform, name in zip(self.pipeline, self.pipeline_types, strict=True):
            if self._skip_type_keys is not None and name in self._skip_type_keys:
                continue
            if hasattr(transform, 'get_indices'):
                indices = transform.get_indices(self.dataset)
                indices = indices if isinstance(indices, Sequence) else [indices]
                results['mix_results'] = [copy.deepcopy(self.dataset[int(i)]) for i in indices]
            results = transform(results)
            if results is None:
                raise ValueError(
                    f'{name} returned None for item {idx}; in MultiImageMixDataset every transform must return a result.'
                )
            results.pop('mix_results', None)
        return results

    def update_skip_type_keys(self, skip_type_keys: list[str]) -> None:
        """Skip the transforms of these names from now on (a hook calls it for the last epochs)."""
        if not all(isinstance(key, str) for key in skip_type_keys):
            raise TypeError(f'skip_type_keys must be names of transforms, got {skip_type_keys}.')
        self._skip_type_keys = skip_type_keys


@DATASETS.register_module()
class RareClassDataset(_Wrapper):
    """Draws images by the classes in them, rare classes more often (training only).

    Rare class sampling of DAFormer (Hoyer et al. 2022, section 3.2, equation 11): a class c is drawn with
    probability softmax((1 - f_c) / T) from its share f_c of all labelled pixels, then an image among those
    that contain it. The pipeline gets the class as ``results['rare_class']``, and ``RareClassCrop`` crops
    around it. Random numbers come from numpy's global state; the labels are read once, at the start.

    Args:
        dataset: A ``BaseSegDataset`` or a ``ConcatDataset`` of them, with the training pipeline.
        prob: Probability that an item is drawn in this way; otherwise it is the one that the sampler asked for.
        temperature: T; the smaller, the more often the rarest class is drawn.
        min_pixels: Pixels of a class that an image needs to be drawn for it.
        lazy_init: Do not read the disk before the first use.
    """

    def __init__(
        self,
        dataset: BaseSegDataset | ConcatDataset | dict,
        prob: float = 0.5,
        temperature: float = 0.01,
        min_pixels: int = 1,
        lazy_init: bool = False,
    ) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RareClassDataset: prob={prob}, expected a probability from 0 to 1.')
        if temperature <= 0 or min_pixels < 1:
            raise ValueError(
                f'RareClassDataset: temperature={temperature} must be > 0 and min_pixels={min_pixels} >= 1.'
            )
        self.prob = prob
        self.temperature = temperature
        self.min_pixels = min_pixels
        super().__init__(dataset, lazy_init)

    def full_init(self) -> None:
        """List the items and count the classes of each."""
        if self._fully_initialized:
            return
        super().full_init()
        counts = class_counts(self.dataset)
        self.class_probs = rare_class_probs(counts, self.temperature)
        self.holders = [np.flatnonzero(column >= self.min_pixels) for column in counts.T]
        without = np.array([len(holders) == 0 for holders in self.holders])
        self.class_probs[without] = 0
        if not self.class_probs.sum():
            raise ValueError(
                f'RareClassDataset: no image has min_pixels={self.min_pixels} of any class; lower it.'
            )
        self.class_probs /= self.class_probs.sum()

    @force_full_init
    def __getitem__(self, idx: int) -> dict:
        leaf, local = _leaf(self.dataset, idx)
        for _ in range(leaf.max_refetch + 1):
            rare = None
            if np.random.random() < self.prob:
                rare = int(np.random.choice(len(self.class_probs), p=self.class_probs))
                leaf, local = _leaf(self.dataset, int(np.random.choice(self.holders[rare])))
            item = leaf.pipeline(dict(leaf.get_data_info(local), rare_class=rare))
            if item is not None:
                return item
            leaf, local = _leaf(self.dataset, np.random.randint(len(self)))
        raise ValueError(f'the pipeline returned None for {leaf.max_refetch + 1} items in a row; check it.')


def rare_class_probs(counts: np.ndarray, temperature: float) -> np.ndarray:
    """softmax((1 - f) / T) of the class shares f over all images, from ``counts`` (N, C)."""
    shares = counts.sum(0) / max(counts.sum(), 1)
    scores = (1 - shares) / temperature
    exponents = np.exp(scores - scores.max())
    return exponents / exponents.sum()


def _leaf(dataset: BaseSegDataset | ConcatDataset, idx: int) -> tuple[BaseSegDataset, int]:
    """The dataset and index inside a concatenation."""
    while isinstance(dataset, ConcatDataset):
        part, idx = dataset._get_ori_dataset_idx(idx)
        dataset = dataset.datasets[part]
    return dataset, idx
