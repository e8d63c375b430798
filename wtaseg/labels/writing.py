"""Writes label maps one by one: whole or not at all, and everything that failed is reported."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from .classes import ConversionError


def write_labels(
    jobs: Iterable[tuple[str, Callable[[], np.ndarray]]], out: Path, overwrite: bool = False
) -> tuple[int, list[str]]:
    """Makes and writes label maps.

    Args:
        jobs: Name of each label file without suffix, and the function that makes its ``(H, W)`` uint8 ids.
        out: Folder, usually ``ann_dir/<split>``.
        overwrite: Replace files that exist.

    Returns:
        Number of files written, and the messages of those that could not be converted.
    """
    written, failed = 0, []
    for name, make in jobs:
        target = out / f'{name}.png'
        if target.exists() and not overwrite:
            failed.append(f'{target} exists. Choose another --out, or pass --overwrite.')
            continue
        try:
            labels = make()
        except ConversionError as error:
            failed.append(str(error))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f'.{target.name}.{os.getpid()}')
        try:
            Image.fromarray(labels).save(temporary, 'PNG')
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        written += 1
    return written, failed
