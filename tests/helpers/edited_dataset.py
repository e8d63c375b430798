"""A dataset as ``wta-seg augment`` leaves it, without a diffusion model."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from augment.dataset.manifest import Manifest
from augment.dataset.reading import encode_label, read_dataset
from augment.dataset.rows import EditRow
from augment.files import sha256, write_bytes


def write_image(path: Path, pixels: np.ndarray) -> None:
    """An image as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def label_with_square(side: int, at: int = 10, class_id: int = 1) -> np.ndarray:
    """Class ids ``(side, side)`` uint8: normal, but for a defect of 4 x 4 pixels."""
    ids = np.zeros((side, side), np.uint8)
    ids[at : at + 4, at : at + 4] = class_id
    return ids


def make_edited_dataset(
    root: Path, accepted: int = 3, refused: int = 1, side: int = 48, word: str = 'rust', grown: int = 0
) -> Path:
    """Write originals, accepted edits ``a<n>__<word>`` with copied labels, and refused ones ``r<n>__<word>``.

    The edits are brighter in the label and up to ``grown`` pixels around it.
    """
    rng = np.random.default_rng(0)
    names = [f'a{n}' for n in range(accepted)] + [f'r{n}' for n in range(refused)]
    for name in names:
        image = rng.integers(40, 90, (side, side, 3), dtype=np.uint8)
        label = label_with_square(side)
        write_image(root / f'img_dir/train/{name}.png', image)
        write_bytes(root / f'ann_dir/train/{name}.png', encode_label(label))
        brighter = cv2.dilate(label, np.ones((2 * grown + 1,) * 2, np.uint8)) > 0
        image[brighter] += 60
        if name.startswith('a'):
            write_image(root / f'img_dir/train/{name}__{word}.png', image)
            write_bytes(root / f'ann_dir/train/{name}__{word}.png', encode_label(label))
        else:
            write_image(root / f'review/rejected/train/{name}__{word}.png', image)
    write_manifest(root, names, word)
    return root


def write_manifest(root: Path, names: Sequence[str], word: str) -> None:
    """Write ``manifest.jsonl`` for the edits ``<name>__<word>`` of the training split."""
    data = read_dataset(root, 'train', [])
    rows = []
    for name in names:
        image, label = (f'{kind}/train/{name}__{word}.png' for kind in ('img_dir', 'ann_dir'))
        accepted = (root / image).is_file()
        source, source_label = (f'{kind}/train/{name}.png' for kind in ('img_dir', 'ann_dir'))
        digest = sha256(root / source_label)
        row = EditRow(
            file=image,
            kind='edit',
            split='train',
            source=source,
            source_sha256=sha256(root / source),
            label=label,
            label_sha256=digest,
            accepted=accepted,
            reasons=[] if accepted else ['defect vanished in the edit: attached defect of 16 px'],
            word=word,
            target_prompt=f'photo of a crack with {word}',
            regions=[],
            seed=0,
            parameters={},
            model=None,
            reconstruction_psnr=None,
            metrics=None,
            file_sha256=sha256(root / image) if accepted else None,
            written_label_sha256=digest if accepted else None,
            relabelled=False if accepted else None,
        )
        rows.append(row)
    originals = [sample for sample in data.samples if '__' not in sample.name]
    Manifest(root).write_rows(type(data)(root, 'train', originals, []), rows)
