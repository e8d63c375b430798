"""A demo model of a few thousand parameters, crops to train it on, and a styled dataset on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augment.demo_model.architecture import WORDS, Architecture
from augment.demo_model.data import Crops

TINY = Architecture(
    size=64,
    unet=(8, 16, 16),
    heads=(1, 2, 2),
    vae=(8, 8, 16),
    text=16,
    text_layers=2,
    text_heads=2,
    time_id_width=8,
    groups=4,
)
COLOURS = {'scratch': 90, 'rust': 120, 'peeling': 150, 'corrosion': 180, 'blistering': 210, 'dent': 240}


@pytest.fixture(scope='session')
def tiny() -> Architecture:
    """Widths of the tiny model; images of 64 pixels."""
    return TINY


@pytest.fixture
def crops() -> Crops:
    """Fourteen crops of 64 pixels, two of each look: a square whose brightness is the look."""
    rng = np.random.default_rng(3)
    images = rng.integers(20, 60, (14, 64, 64, 3), np.uint8)
    defects = np.zeros((14, 64, 64), bool)
    words = np.arange(14, dtype=np.uint8) % 7
    for number, word in enumerate(words):
        defects[number, 20:30, 24:40] = True
        images[number, 20:30, 24:40] = 60 + 30 * int(word)
    return Crops(images, defects, words)


@pytest.fixture
def styled_dataset(tmp_path) -> Path:
    """Seven images of 160 x 160 pixels per split, one of each look, the last unstyled."""
    rng = np.random.default_rng(4)
    root, styles = tmp_path / 'styled', {}
    for split in ('train', 'val'):
        for folder in ('img_dir', 'ann_dir'):
            (root / folder / split).mkdir(parents=True)
        for number, word in enumerate((*WORDS, 'none')):
            image = rng.integers(20, 60, (160, 160, 3), np.uint8)
            label = np.zeros((160, 160), np.uint8)
            label[10:22, 12:30], label[120:124, 130:136] = 1, 2
            image[label > 0] = COLOURS.get(word, 60)
            name = f'{split}_{number:05d}.png'
            Image.fromarray(image).save(root / 'img_dir' / split / name)
            Image.fromarray(label).save(root / 'ann_dir' / split / name)
            styles[f'{split}/{name}'] = word
    (root / 'styles.json').write_text(json.dumps(styles))
    return root
