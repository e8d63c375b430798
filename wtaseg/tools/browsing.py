"""Draw the images and labels of a dataset as its pipeline leaves them."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules
from mmseg.visualization import SegLocalVisualizer
from mmseg.visualization.display import to_display


def browse(
    cfg: Config, split: str, out: Path, count: int, seed: int = 0, show: bool = False, wait_time: float = 2
) -> Iterator[Path]:
    """Draw items of a dataset after its pipeline, with their labels.

    Args:
        cfg: config of an experiment.
        split: train, val or test.
        out: folder for the drawings.
        count: number of items, the first ones of the dataset.
        seed: of the augmentation.
        show: also show each in a window.
        wait_time: seconds that a window stays open.

    Yields:
        The file of each drawing, ``NUMBER_NAME.png``.

    Raises:
        ValueError: the config has no such dataset.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ValueError(f'{cfg.filename}: has no {split}_dataloader, expected one to browse')
    register_all_modules()
    dataset = DATASETS.build(loader['dataset'])
    visualizer = SegLocalVisualizer(alpha=0.6)
    visualizer.set_dataset_meta(dataset.metainfo['classes'], dataset.metainfo['palette'])
    np.random.seed(seed)  # noqa: NPY002 - the transforms draw from numpy's global state
    for index in range(min(count, len(dataset))):
        yield _draw(dataset, index, out, visualizer, show, wait_time)


def _draw(
    dataset: BaseDataset, index: int, out: Path, visualizer: SegLocalVisualizer, show: bool, wait_time: float
) -> Path:
    item = dataset[index]
    sample = item['data_samples']
    image = to_display(item['inputs'].numpy().transpose(1, 2, 0))
    height, width = sample.gt_sem_seg.shape
    if image.shape[:2] != (height, width):  # test pipelines scale the image alone
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    name = Path(sample.metainfo.get('img_path', 'image')).stem
    path = out / f'{index:04d}_{name}.png'
    visualizer.add_datasample(
        path.stem,
        image,
        sample,
        draw_pred=False,
        show=show,
        wait_time=wait_time,
        out_file=str(path),
    )
    return path
