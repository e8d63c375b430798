"""Images and labels of an experiment's splits, for calibration and comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from mmseg.apis.inference import inference_steps
from mmseg.datasets.basesegdataset import BaseSegDataset
from mmseg.registry import DATASETS
from wtaseg.runs.data import leaf_configs


@dataclass(frozen=True)
class LabelledImage:
    """An image of a dataset.

    Attributes:
        dataset: that it belongs to.
        index: in the dataset.
    """

    dataset: BaseSegDataset
    index: int

    @property
    def path(self) -> str:
        """Of the image file."""
        return self.dataset.get_data_info(self.index)['img_path']

    def present(self) -> frozenset[int]:
        """Ids of the classes that the label map has pixels of."""
        return frozenset(self.dataset.get_cat_ids(self.index))


def images_of(cfg: Config, split: str) -> list[LabelledImage]:
    """The labelled images of a split.

    Raises:
        FileNotFoundError, ValueError: the split is missing, or has no image with a label.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    images = []
    for leaf in leaf_configs(cfg, split):
        dataset = DATASETS.build(leaf)
        for index in range(len(dataset)):
            label = dataset.get_data_info(index).get('seg_map_path')
            if label and Path(label).is_file():
                images.append(LabelledImage(dataset, index))
    if not images:
        raise ValueError(f'{split}_dataloader of the config has no image with a label; expected one at least')
    return images


def choose_images(present: Sequence[frozenset[int]], count: int) -> list[int]:
    """Indices of images in which the classes have the shares that they have in all images.

    Images with the same set of classes form a group. Each group gives its share of ``count``, at least one image, evenly
    spaced; so there may be a few images more.

    Args:
        present: ids of the classes in each image.
        count: how many to choose.
    """
    groups: dict[frozenset[int], list[int]] = {}
    for index, ids in enumerate(present):
        groups.setdefault(ids, []).append(index)
    chosen = []
    for members in groups.values():
        number = min(len(members), max(1, round(count * len(members) / len(present))))
        chosen += [members[int(place)] for place in (np.arange(number) + 0.5) * len(members) / number]
    return sorted(chosen)


class Reader:
    """Reads images and labels as the test pipeline of a config does, at the size of the file."""

    def __init__(self, cfg: Config) -> None:
        self._load = Compose(inference_steps(cfg)[:1])

    def pixels(self, image: LabelledImage) -> np.ndarray:
        """The image, (H, W, 3) in BGR order."""
        return self._load(dict(img_path=image.path))['img']

    def pair(self, image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
        """The image, (H, W, 3) in BGR order, and its class ids, (H, W); 255 is ignored."""
        info = image.dataset.get_data_info(image.index)
        results = self._load(dict(info))
        return results['img'], image.dataset.label_loader()(results)['gt_seg_map']
