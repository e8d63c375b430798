"""``manifest.jsonl``: one row per file of the augmented dataset, and per edit that was refused.

While a run is on, each finished edit leaves its row as a file of its own under ``.augment``; these are merged into
the manifest at the end. So any number of processes may work at once or one after the other, a kill loses nothing
but the pictures in hand, and the merged file depends on the rows alone: no times, no order of arrival.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augment.config import ONLY_ROUNDING
from augment.dataset.reading import (
    IMAGES,
    LABELS,
    Dataset,
    Sample,
    check_label,
    decode_label,
    image_file,
    label_file,
    open_picture,
)
from augment.files import TEMPORARY, json_line, sha256, write_bytes, write_json

MANIFEST = 'manifest.jsonl'
PARTS = '.augment'
REVIEW = 'review'
Row = dict[str, Any]


class Manifest:
    """The rows of edits in the dataset ``root``, by the path of the edited file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, Row] = {}
        self.reload()

    def reload(self) -> None:
        """Read the merged manifest and, over it, the rows that wait to be merged."""
        self.rows = {}
        path = self.root / MANIFEST
        if path.is_file():
            for row in read_rows(path):
                if row['kind'] == 'edit':
                    self.rows[row['file']] = row
        for part in sorted((self.root / PARTS).rglob('*.json')):
            if not part.name.startswith(TEMPORARY):
                row = next(read_rows(part))
                self.rows[row['file']] = row

    def add(self, row: Row) -> None:
        """Keep ``row`` on disk until the merge."""
        self.rows[row['file']] = row
        write_json(self.part(row['file']), row)

    def part(self, file: str) -> Path:
        """Where the row of ``file`` waits for the merge."""
        return self.root / PARTS / f'{file}.json'

    def review(self, kind: str, file: str) -> Path:
        """Where the ``kind`` (reconstruction, rejected) of picture ``file`` is kept for people to look at."""
        return self.root / REVIEW / kind / Path(file).relative_to(IMAGES)

    def is_done(self, file: str) -> bool:
        """Whether ``file`` has its row and, when it was accepted, is there."""
        row = self.rows.get(file)
        return row is not None and (
            not row['accepted'] or all((self.root / row[k]).is_file() for k in ('file', 'label'))
        )

    def refuse_other_parameters(
        self, parameters: dict[str, Any], model: dict[str, Any] | None = None
    ) -> None:
        """Raises ``ValueError`` when earlier edits in this folder were made with other parameters or weights."""
        for row in self.rows.values():
            pairs = [(row['parameters'], parameters)]
            if model is not None and row['model'] is not None:
                pairs.append((row['model'], model))
            for old, new in pairs:
                for key in sorted((old.keys() | new.keys()) - ONLY_ROUNDING):
                    if old.get(key) != new.get(key):
                        raise ValueError(
                            f'{self.root} holds edits made with {key}={old.get(key)!r}, now {key}={new.get(key)!r} is '
                            'asked for; name another --out, or remove that folder to start anew'
                        )

    def stale(self, data: Dataset) -> list[str]:
        """Files of edits whose source or label has changed or gone since."""
        now = {
            image_file(data.split, s.name): (s.image_sha256, s.label_sha256)
            for s in data.samples
            if not s.problem
        }
        return [
            file
            for file, row in self.rows.items()
            if row['split'] == data.split
            and now.get(row['source']) != (row['source_sha256'], row['label_sha256'])
        ]

    def drop_stale(self, data: Dataset) -> list[str]:
        """Remove the stale edits with their labels, unless those were drawn anew by hand; returns their files."""
        stale = self.stale(data)
        for file in stale:
            row = self.rows.pop(file)
            label = self.root / row['label']
            if label.is_file() and sha256(label) == row['label_sha256']:
                label.unlink()
            reviewed = (self.review('rejected', file), self.review('reconstruction', row['source']))
            for path in (self.root / file, *reviewed, self.part(file)):
                path.unlink(missing_ok=True)
        if stale:
            self.write_rows(data, list(self.rows.values()))
        return stale

    def merge(self, data: Dataset) -> list[Row]:
        """Write the manifest of all files, in the order split, name, word; returns its rows."""
        self.reload()
        edits = [with_written_label(self.root, row) for row in self.rows.values()]
        rows = self.write_rows(data, edits)
        shutil.rmtree(self.root / PARTS, ignore_errors=True)
        return rows

    def write_rows(self, data: Dataset, edits: list[Row]) -> list[Row]:
        """Write ``manifest.jsonl`` from the dataset's own files and the given rows of edits."""
        rows = [*original_rows(data), *untouched_rows(data), *edits]
        rows.sort(
            key=lambda row: (row['split'] != data.split, row['split'], row['source'], row.get('word', ''))
        )
        write_bytes(self.root / MANIFEST, ''.join(map(json_line, rows)).encode())
        return rows


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSON-lines file; ``ValueError`` naming file and line for one that is none."""
    with path.open(encoding='utf-8') as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f'{path}, line {number}: not JSON ({error}); restore the file or remove it to start anew'
                ) from error


def original_rows(data: Dataset) -> Iterator[Row]:
    """Rows of the edited split's own pictures, those that cannot be used with the reason."""
    for sample in data.samples:
        yield source_row(sample, data.split) | {
            'file': image_file(data.split, sample.name),
            'kind': 'original',
            'accepted': not sample.problem,
            'reasons': [sample.problem.replace(f'{data.root}/', '')] if sample.problem else [],
        }


def source_row(sample: Sample, split: str) -> Row:
    """What a row says about the picture it comes from."""
    return {
        'split': split,
        'source': image_file(split, sample.name),
        'source_sha256': sample.image_sha256,
        'label': label_file(split, sample.name),
        'label_sha256': sample.label_sha256,
    }


def untouched_rows(data: Dataset) -> Iterator[Row]:
    """Rows of the pictures in the other splits, copied as they are."""
    for path in data.untouched:
        file = path.relative_to(data.root)
        if file.parts[0] != IMAGES:
            continue
        label = data.root / LABELS / Path(*file.parts[1:]).with_suffix('.png')
        there = label.is_file()
        yield {
            'file': file.as_posix(),
            'kind': 'copy',
            'split': file.parts[1],
            'source': file.as_posix(),
            'source_sha256': sha256(path),
            'label': label.relative_to(data.root).as_posix() if there else None,
            'label_sha256': sha256(label) if there else None,
            'accepted': True,
            'reasons': [],
        }


def with_written_label(root: Path, row: Row) -> Row:
    """``row`` with the SHA-256 of the label that lies beside the edit, which may have been drawn anew by hand.

    Raises ``ValueError`` for a label drawn by hand that is no index PNG of the picture's size.
    """
    path = root / row['label']
    if not row['accepted'] or not path.is_file():
        return row
    digest = sha256(path)
    if digest != row['label_sha256']:
        try:
            picture = open_picture((root / row['file']).read_bytes())
            check_label(decode_label(path.read_bytes()), (picture.height, picture.width))
        except ValueError as error:
            raise ValueError(f'label {path}, drawn anew for {row["file"]}: {error}') from error
    return row | {'written_label_sha256': digest, 'relabelled': digest != row['label_sha256']}
