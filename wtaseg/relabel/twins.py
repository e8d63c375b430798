"""Datasets of ideal edits for the study ``twins``: rendered images and their twins in the style of a word.

Three datasets differ in the labels of the twins alone: copied from the unstyled image, proposed as ``wta-seg relabel`` does,
and true.
"""

from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from augment.dataset.reading import Sample, edit_name, encode_label, image_file, label_file, read_dataset
from augment.files import copy_file, write_bytes, write_png
from mmseg.processes import worker_pool
from wtaseg.blades.dataset import MANIFEST
from wtaseg.blades.scene import render_styles
from wtaseg.blades.styles import STYLES
from wtaseg.io import read_json
from wtaseg.relabel.proposals import Views, propose

SPLIT = 'train'
LABELS = ('copied', 'proposed', 'true')
"""Kinds of labels that the twins have in the three datasets."""


def twins_root(data: Path, word: str, labels: str) -> Path:
    """The folder of the originals and their twins in the style of ``word``, with labels of one kind of :data:`LABELS`."""
    return data.with_name(f'{data.name}_twins_{word}_{labels}')


def write_twins(data: Path, word: str, workers: int) -> list[Path]:
    """Write the three datasets beside ``data``; images without a defect have no twin.

    Args:
        data: a dataset of ``wta-seg render`` whose training images have no style.
        word: the style.
        workers: processes.

    Returns:
        The folders, in the order of :data:`LABELS`.

    Raises:
        ValueError: there is no such style, or the training images were not rendered, or with a style.
        FileNotFoundError: ``data`` has no ``render.json`` or no training images.
    """
    if word not in STYLES:
        raise ValueError(f'--word {word}: expected one of {", ".join(STYLES)}')
    settings = read_json(data / MANIFEST, 'the settings of wta-seg render; give a dataset that it wrote')
    samples = read_dataset(data, SPLIT, [word]).samples
    work = partial(write_twin, data, word, settings['seed'], settings['size'])
    with worker_pool(min(workers, len(samples))) as pool:
        list(track(pool.map(work, samples), 'rendering twins', len(samples), console=Console(stderr=True)))
    return [twins_root(data, word, labels) for labels in LABELS]


def write_twin(data: Path, word: str, seed: int, size: int, sample: Sample) -> None:
    """Write an original and its twin into all three datasets.

    Raises:
        ValueError: the image is not the one that the renderer draws for its name.
    """
    name = sample.name
    blades = render_styles(seed, SPLIT, int(name.rpartition('_')[2]), size, (None, word))
    source, edited = (np.ascontiguousarray(blades[style].image[..., ::-1]) for style in (None, word))
    if not np.array_equal(sample.pixels(), source):
        raise ValueError(
            f'{sample.image} is not the unstyled image that {data / MANIFEST} describes; render the dataset again'
        )
    copied = blades[None].label
    for kind, ids in zip(LABELS, (copied, propose(Views(source, edited), copied), blades[word].label)):
        root = twins_root(data, word, kind)
        copy_file(sample.image, root / image_file(SPLIT, name))
        copy_file(sample.label, root / label_file(SPLIT, name))
        if copied.any():
            write_png(root / image_file(SPLIT, edit_name(name, word)), edited)
            write_bytes(root / label_file(SPLIT, edit_name(name, word)), encode_label(ids))
