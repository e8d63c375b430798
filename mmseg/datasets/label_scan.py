"""Pixels per id of many label maps, read once: the counts are cached in the user's cache folder.

A label map is read again when its size, modification or status change time differs from the time of the last scan, and
decoded again when its content (BLAKE2b) does. A file changed less than :data:`SETTLED` before the scan is read the
next time, too, because a later change could have the same time stamp.
"""

import contextlib
import hashlib
import io
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg.utils.files import write_atomically

from .label_counts import count_ids
from .label_files import Problem, unreadable

#: Seconds after a change from which the time stamps of a file identify its content.
SETTLED = 2.0
#: Seconds after which an unchanged scan is removed, since its dataset may be gone.
DROPPED_AFTER = 180 * 24 * 3600
LAYOUT = 1

Counts = tuple[np.ndarray, dict[int, int]]


def cache_folder() -> Path:
    """Folder of cached scans: ``labels`` in ``$WTA_SEG_CACHE``, by default ``~/.cache/wta-seg``."""
    return Path(os.environ.get('WTA_SEG_CACHE') or Path('~/.cache/wta-seg').expanduser()) / 'labels'


def scan_labels(
    labels: Sequence[str], progress: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, Counts | Problem]]:
    """Each label map with its pixels per id, see :func:`.label_counts.count_ids`, or the problem of reading it.

    Args:
        labels: files; those of one folder follow each other in the result.
        progress: called after each file.
    """
    folders = defaultdict(list)
    for label in labels:
        folders[Path(label).parent].append(label)
    for folder, files in folders.items():
        scan = FolderScan(folder)
        for file in files:
            yield file, scan.counts(file)
            progress()
        scan.save()


class FolderScan:
    """The cached counts of the label maps of one folder."""

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
        self.path = cache_folder() / f'{name}.json'
        self.rows = read_rows(self.path)
        self.changed = False

    def counts(self, file: str) -> Counts | Problem:
        """Pixels per id of one file of the folder."""
        path = Path(file)
        try:
            status = path.stat()
            if not path.is_file():
                return unreadable(file, 'is not a regular file')
            stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            row = self.rows.get(path.name)
            if row is not None and row[:3] == stamp:
                return _as_array(row[4]), {}
            content = path.read_bytes()
        except OSError as error:
            return unreadable(file, error.strerror or str(error))
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        if row is None or row[3] != digest:
            counted = _decode(file, content)
            if isinstance(counted, Problem) or counted[1]:
                return counted
            row = [*stamp, digest, {str(i): int(counted[0][i]) for i in np.flatnonzero(counted[0])}]
        if time.time_ns() - max(stamp[1:]) < SETTLED * 1e9:
            stamp = [0, 0, 0]
        self.rows[path.name] = [*stamp, *row[3:]]
        self.changed = True
        return _as_array(row[4]), {}

    def save(self) -> None:
        """Write what is new; a cache that can't be written costs time, nothing else."""
        if not self.changed:
            return
        with contextlib.suppress(OSError):
            write_atomically(self.path, json.dumps({'layout': LAYOUT, 'labels': self.rows}))
            for path in self.path.parent.glob('*.json'):
                if time.time() - path.stat().st_mtime > DROPPED_AFTER:
                    path.unlink()


def read_rows(path: Path) -> dict[str, list]:
    """The rows of a cache file by file name: size, two times in ns, digest, ``{id: pixels}``; damaged ones are left out."""
    try:
        content = json.loads(path.read_bytes())
        rows = content['labels'] if content['layout'] == LAYOUT else {}
        return {name: row for name, row in rows.items() if _is_row(row)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_row(row: object) -> bool:
    if not (isinstance(row, list) and len(row) == 5 and isinstance(row[4], dict)):
        return False
    numbers = [*row[:3], *row[4].values()]
    ids = row[4].keys()
    return (
        all(type(number) is int and 0 <= number < 2**63 for number in numbers)
        and isinstance(row[3], str)
        and all(key.isdecimal() and len(key) <= 3 and int(key) < 256 for key in ids)
    )


def _as_array(counts: dict[str, int]) -> np.ndarray:
    array = np.zeros(256, np.int64)
    for key, pixels in counts.items():
        array[int(key)] = pixels
    return array


def _decode(file: str, content: bytes) -> Counts | Problem:
    try:
        with Image.open(io.BytesIO(content)) as image:
            labels = np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return unreadable(file, error)
    return count_ids(labels)
