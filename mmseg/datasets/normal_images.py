"""Images without labels that are known to be normal: how many of them a training set has, and their items.

A dataset of L labelled images and a largest share s has up to ``s · L / (1 - s)`` places for normal images, which are
that share of all its items. If there are more normal images than places, they take turns: a place has several images,
of which one is drawn each time it is loaded. The draw follows from the seed of the item, as its augmentation does.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from .image_files import read_header

#: Folder of normal images in a dataset, beside img_dir and ann_dir.
NORMAL_DIR = 'normal_dir'
DEFAULT_SHARE = 0.5
#: Keys of an item: it has no label file and is class 0 all over; the images that take turns.
NORMAL, ALTERNATIVES = 'normal', 'normal_paths'


def check_share(share: float, name: str = 'max_normal_share') -> None:
    """Raise ``ValueError`` unless a share is above 0 and below 1."""
    if not 0 < share < 1:
        raise ValueError(f'{name}: {share}; expected a share of the training images above 0 and below 1')


def divide_images(images: Sequence[str], labelled: int, max_share: float) -> list[list[str]]:
    """The normal images of each place, in an order that depends on their names alone.

    Args:
        images: their paths below the folder that they are in.
        labelled: number of labelled images.
        max_share: largest share of the places in all items.

    Raises:
        ValueError: the share allows for none, or is out of its range.
    """
    check_share(max_share)
    # a share such as 0.2 has no exact binary form
    places = min(len(images), int(max_share * labelled / (1 - max_share) + 1e-9))
    if not places:
        raise ValueError(
            f'max_normal_share: {max_share}; of {labelled} labelled and {len(images)} normal images it allows for '
            f'none; expected at least {1 / (labelled + 1):.2g}'
        )
    shuffled = sorted(images, key=lambda path: (hashlib.sha256(path.encode()).hexdigest(), path))
    return [shuffled[place::places] for place in range(places)]


def draw_image(results: dict) -> None:
    """Choose one of the images that share a place, in place; numpy's global state draws."""
    paths = results.pop(ALTERNATIVES, None)
    if paths:
        results['img_path'] = paths[np.random.randint(len(paths))]  # noqa: NPY002  what a worker seeds


def normal_label(results: dict) -> np.ndarray:
    """The label map (H, W) uint8 of a normal image, all 0; its size is that of the loaded image or of its file."""
    shape = results.get('ori_shape') or read_header(results['img_path']).size[::-1]
    return np.zeros(shape, np.uint8)
