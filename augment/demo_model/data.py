"""Crops to train on, cut out of a dataset on disk by the functions that cut them when images are edited.

A dataset has the img_dir/ann_dir layout and a list that says which word each image's defects look like; the program
``wta-seg render --style`` writes both. Everything fits into memory: 20,000 crops of 128² are 1 GB.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch

from augment.config import AugmentConfig
from augment.dataset.reading import decode_image, decode_label, defect_mask
from augment.dataset.regions import cut, plan_regions, to_working
from augment.demo_model.architecture import WORDS
from augment.demo_model.styles import read_styles

CROP_SCALES = (2, 2, 4 / 3, 1)
"""Most by which crops are enlarged; the images of a dataset take turns."""
CROPS_PER_IMAGE = 8  # an image with hundreds of specks must not outweigh the others


@dataclass
class Crops:
    """N crops of one size.

    Attributes:
        images: ``(N, H, W, 3)`` uint8 RGB.
        defects: ``(N, H, W)`` bool, the label.
        words: ``(N,)`` uint8, 0 for the source's look, else 1 + the index in WORDS.
    """

    images: np.ndarray
    defects: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def select(self, where: np.ndarray) -> 'Crops':
        """The crops at ``where``, indices or a bool mask."""
        return Crops(**{f.name: getattr(self, f.name)[where] for f in fields(self)})

    def save(self, path: Path) -> None:
        """Write to one uncompressed .npz file."""
        temporary = path.with_name(f'.{path.name}.npz')
        np.savez(temporary, **{f.name: getattr(self, f.name) for f in fields(self)})
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> 'Crops':
        """Undo ``save``."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def read_crops(
    root: Path,
    split: str,
    size: int,
    workers: int = 1,
    side: int | None = None,
    labels: Path | None = None,
) -> Crops:
    """All crops of ``root/img_dir/split``, in the order of the file names whatever the number of ``workers``.

    Args:
        size: Side in pixels of the returned crops.
        side: Least side of a crop in native pixels; None: those of CROP_SCALES in turn.
        labels: Dataset whose labels are taken instead of those of ``root``: with the unstyled twin of ``root``, crops
            and labels are those of an edit, whose label is its source's.

    Raises:
        FileNotFoundError: A folder or the list of styles is missing.
        ValueError: The list does not fit the images, or no image has a defect.
    """
    styles = read_styles(root, split)
    sides = [round(size / scale) for scale in CROP_SCALES] if side is None else [side]
    tasks = [
        (root, labels or root, split, name, word, sides[number % len(sides)])
        for number, (name, word) in enumerate(styles.items())
    ]
    work = partial(cut_crops, size=size)
    if workers <= 1:
        results = list(map(work, tasks))
    else:
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            results = list(pool.map(work, tasks, chunksize=16))
    results = [crops for crops in results if crops is not None]
    if not results:
        raise ValueError(
            f'{root}: no image of split {split} has a defect; expected labels with classes 1, 2, ...'
        )
    return Crops(*(np.concatenate([getattr(r, f.name) for r in results]) for f in fields(Crops)))


def cut_crops(task: tuple, size: int) -> Crops | None:
    """The crops of one image; None where it has no defect."""
    root, labels, split, name, word, side = task
    image = decode_image((root / 'img_dir' / split / name).read_bytes())
    label = decode_label((labels / 'ann_dir' / split / name).read_bytes())
    config = AugmentConfig(crop='defect', crop_min=side, crop_limit=CROPS_PER_IMAGE, resolution=size)
    regions = [r for r in plan_regions(label, config) if r.size == (size, size)]
    if not regions:
        return None
    images = np.stack([to_working(image, region) for region in regions])
    defects = np.stack([at_size(cut(defect_mask(label), region.box), size) for region in regions])
    index = 0 if word is None else 1 + WORDS.index(word)
    return Crops(images, defects, np.full(len(regions), index, np.uint8))


def at_size(mask: np.ndarray, size: int) -> np.ndarray:
    """A bool mask ``(h, w)`` at ``size``², where every pixel that a true one falls on is true."""
    scaled = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(mask)[None, None].float(), size)
    return scaled[0, 0].numpy() > 0
