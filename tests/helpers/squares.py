"""A dataset of noisy images with coloured squares: ``python tests/helpers/squares.py FOLDER [SIDE] [IMAGES]``."""

import sys
from pathlib import Path

import cv2
import numpy as np


def write_squares(root: Path, side: int = 256, train: int = 16, others: int = 7) -> Path:
    """Write ``img_dir`` and ``ann_dir`` of the splits train, val and test, every pixel labelled; returns ``root``."""
    rng = np.random.default_rng(0)
    for split, count in (('train', train), ('val', others), ('test', others)):
        for folder in ('img_dir', 'ann_dir'):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image = rng.integers(0, 80, (side, side, 3), dtype=np.uint8)
            label = np.zeros((side, side), np.uint8)
            for class_id in (1, 2):
                y, x = rng.integers(0, side - side // 5, 2)
                label[y : y + side // 5, x : x + side // 5] = class_id
                image[y : y + side // 5, x : x + side // 5, class_id] += 150
            cv2.imwrite(str(root / 'img_dir' / split / f'{index}.png'), image)
            cv2.imwrite(str(root / 'ann_dir' / split / f'{index}.png'), label)
    return root


if __name__ == '__main__':
    write_squares(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
