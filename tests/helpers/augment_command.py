"""Arguments of small runs of the augmentation command, and readers of their output."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
WORDS = ('peeling', 'rust')
SMALL = [
    '--resolution',
    '64',
    '--steps',
    '3',
    '--inner-steps',
    '2',
    '--batch-size',
    '3',
    '--dtype',
    'fp32',
    '--device',
    'cpu',
]
LENIENT = [
    '--min-psnr',
    '0',
    '--min-ssim',
    '-1',
    '--min-change',
    '0.01',
    '--min-kept',
    '0',
    '--min-edit-kept',
    '0',
]


def pixels(path: Path) -> np.ndarray:
    """The array of an image file."""
    return np.array(Image.open(path))


def tree(folder: Path) -> dict[str, bytes]:
    """Content of all files under ``folder`` by relative path."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()
    }


def rows_of(out: Path) -> list[dict]:
    """All rows of the manifest of ``out``."""
    return [json.loads(line) for line in (out / 'manifest.jsonl').read_text().splitlines()]


def edits_of(out: Path) -> list[dict]:
    """The rows of edits."""
    return [row for row in rows_of(out) if row['kind'] == 'edit']
