"""``manifest.jsonl``: one row per file of the augmented dataset, and per edit that was refused.

During a run each finished edit writes its row to a file of its own under ``.augment``; these are merged into the
manifest at the end. So any number of processes may work at once or one after the other, a kill loses only the images
being edited, and the merged file depends on the rows alone: no times, no order of arrival.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from augment.config import ONLY_ROUNDING
from augment.dataset.reading import (
    IMAGES,
    LABELS,
    Dataset,
    check_label,
    decode_image,
    decode_label,
    label_file,
    source_file,
)
from augment.dataset.rows import (
    DRAWN,
    PROPOSED,
    REVIEW,
    EditRow,
    FileRow,
    ModelIdentity,
    Planting,
    read_rows,
    to_json,
)
from augment.files import TEMPORARY, inside, json_line, sha256, write_bytes, write_json

MANIFEST = 'manifest.jsonl'
PARTS = '.augment'


EDIT = 'edit'
"""The mode of rows that have none."""


class Manifest:
    """The rows of edits in the dataset ``root``, by the path of the edited file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, EditRow] = {}
        self.reload()

    def reload(self) -> None:
        """Read the merged manifest, then the rows that are not merged yet."""
        self.rows = {}
        path = self.root / MANIFEST
        parts = [
            p
            for p in sorted((self.root / PARTS).rglob('*.json'))
            if p.is_file() and not p.name.startswith(TEMPORARY)
        ]
        for file in ([path] if path.is_file() else []) + parts:
            for number, row in enumerate(read_rows(file), 1):
                if isinstance(row, EditRow):
                    check_row_paths(self.root, row, f'{file}, line {number}')
                    self.rows[row.file] = row

    def add(self, row: EditRow) -> None:
        """Write ``row`` to a file of its own until the merge."""
        self.rows[row.file] = row
        write_json(self.part(row.file), to_json(row))

    def part(self, file: str) -> Path:
        """The file of the row of ``file`` until the merge."""
        return self.root / PARTS / f'{file}.json'

    def review(self, kind: str, file: str) -> Path:
        """Where the ``kind`` (reconstruction, rejected) of image ``file`` is written for inspection."""
        return (self.root / REVIEW / kind / Path(file).relative_to(IMAGES)).with_suffix('.png')

    def is_done(self, file: str) -> bool:
        """Whether ``file`` has its row and, when it was accepted, exists unchanged beside its label."""
        row = self.rows.get(file)
        if row is None:
            return False
        if not row.accepted:
            return True
        image = self.root / file
        if not (image.is_file() and (self.root / row.label).is_file()):
            return False
        return row.file_sha256 is None or sha256(image) == row.file_sha256

    def refuse_other_parameters(
        self, parameters: dict[str, Any], model: ModelIdentity | None = None, mode: str = EDIT
    ) -> None:
        """Raises ``ValueError`` when earlier edits in this folder were made with other parameters, weights or mode."""
        for row in self.rows.values():
            pairs = [({'mode': row.mode or EDIT}, {'mode': mode}), (row.parameters, parameters)]
            if model is not None and row.model is not None:
                pairs.append((asdict(row.model), asdict(model)))
            for old, new in pairs:
                for key in sorted((old.keys() | new.keys()) - ONLY_ROUNDING):
                    if old.get(key) != new.get(key):
                        raise ValueError(
                            f'{self.root} holds edits made with {key}={old.get(key)!r}, now {key}={new.get(key)!r} is '
                            'asked for; name another --out, or remove that folder to start again'
                        )

    def stale(self, data: Dataset, plantings: Mapping[str, Planting] | None = None) -> list[str]:
        """Files of edits whose source, donors or labels have changed or vanished since, or which are planted otherwise now.

        ``plantings`` are those of the plan, by ``image``.
        """
        now = {
            source_file(data.split, s): (s.image_sha256, s.label_sha256)
            for s in data.samples
            if not s.problem
        }
        known = {source: sums for source, sums in now.items() if sums[1]}

        def is_current(row: EditRow) -> bool:
            """Whether source, donors and what is planted are as recorded in ``row``."""
            if known.get(row.source) != (row.source_sha256, row.label_sha256):
                return False
            if row.planting is None:
                return True
            same = (plantings or {}).get(row.planting.image, row.planting) == row.planting
            return same and all(
                known.get(d.donor) == (d.donor_sha256, d.donor_label_sha256) for d in row.planting.defects
            )

        return [file for file, row in self.rows.items() if row.split == data.split and not is_current(row)]

    def drop_stale(self, data: Dataset, plantings: Mapping[str, Planting] | None = None) -> list[str]:
        """Remove the stale edits with their labels, except labels drawn by hand; returns their files."""
        stale = self.stale(data, plantings)
        for file in stale:
            row = self.rows.pop(file)
            if has_made_label(self.root, row):
                (self.root / row.label).unlink()
            made = [
                self.root / file,
                self.review('rejected', file),
                self.root / row.reconstruction,
                self.part(file),
            ]
            if row.planting:
                made += [self.root / row.planting.image, self.root / row.planting.label]
            for path in made:
                path.unlink(missing_ok=True)
        if stale:
            self.write_rows(data, list(self.rows.values()))
        return stale

    def merge(self, data: Dataset) -> list[EditRow]:
        """Write the manifest of all files, in the order split, source, word; returns the rows of edits."""
        self.reload()
        edits = [with_written_label(self.root, row) for row in self.rows.values()]
        rows = self.write_rows(data, edits)
        shutil.rmtree(self.root / PARTS, ignore_errors=True)
        return [row for row in rows if isinstance(row, EditRow)]

    def write_rows(self, data: Dataset, edits: list[EditRow]) -> list[FileRow]:
        """Write ``manifest.jsonl`` from the dataset's own files and the given rows of edits."""
        rows = [*original_rows(data), *untouched_rows(data), *edits]
        rows.sort(key=lambda r: (r.split != data.split, r.split, r.source, getattr(r, 'word', '')))
        lines = (json_line(to_json(row)) for row in rows)
        write_bytes(self.root / MANIFEST, ''.join(lines).encode())
        return rows


def check_row_paths(root: Path, row: EditRow, where: str) -> None:
    """Raises ``ValueError`` unless the files of ``row`` lie in the image and label folders below ``root``."""
    pairs = [(row.file, IMAGES), (row.source, IMAGES), (row.label, LABELS)]
    if row.planting:
        pairs += [(row.planting.image, REVIEW), (row.planting.label, REVIEW)]
    for name, folder in pairs:
        path = inside(root, name, where)
        if path.relative_to(root).parts[0] != folder:
            raise ValueError(
                f'{where}: path {name!r} is not in {folder}; restore the file, or remove the folder to start again'
            )


def original_rows(data: Dataset) -> Iterator[FileRow]:
    """Rows of the edited split's own images; those that cannot be used have the reason."""
    for sample in data.samples:
        file = source_file(data.split, sample)
        yield FileRow(
            file=file,
            kind='original',
            split=data.split,
            source=file,
            source_sha256=sample.image_sha256,
            label=label_file(data.split, sample.name),
            label_sha256=sample.label_sha256,
            accepted=not sample.problem,
            reasons=[sample.problem.replace(f'{data.root}/', '')] if sample.problem else [],
        )


def untouched_rows(data: Dataset) -> Iterator[FileRow]:
    """Rows of the images in the other splits, copied as they are."""
    for path in data.untouched:
        file = path.relative_to(data.root)
        if file.parts[0] != IMAGES:
            continue
        label = data.root / LABELS / Path(*file.parts[1:]).with_suffix('.png')
        labelled = label.is_file()
        yield FileRow(
            file=file.as_posix(),
            kind='copy',
            split=file.parts[1],
            source=file.as_posix(),
            source_sha256=sha256(path),
            label=label.relative_to(data.root).as_posix() if labelled else None,
            label_sha256=sha256(label) if labelled else None,
            accepted=True,
            reasons=[],
        )


def has_made_label(root: Path, row: EditRow) -> bool:
    """Whether the label beside the edit of ``row`` is a copy of the source's or a proposal, and not drawn by hand."""
    path = root / row.label
    if not path.is_file():
        return False
    made = {row.copied_label_sha256}
    if row.relabelled == PROPOSED:
        made.add(row.written_label_sha256)
    return sha256(path) in made


def with_written_label(root: Path, row: EditRow) -> EditRow:
    """``row`` with the SHA-256 of the label beside the edit and where that label comes from.

    A label that differs from the copied one, and from the one that the row records, was drawn by hand. Raises
    ``ValueError`` for such a label that is no index PNG of the image's size.
    """
    path = root / row.label
    if not row.accepted or not path.is_file():
        return row
    digest = sha256(path)
    if digest == row.written_label_sha256 and row.relabelled:
        return row
    if digest == row.copied_label_sha256:
        return replace(row, written_label_sha256=digest, relabelled=False)
    try:
        size = decode_image((root / row.file).read_bytes()).shape[:2]
        check_label(decode_label(path.read_bytes()), size)
    except ValueError as error:
        raise ValueError(f'label {path}, redrawn for {row.file}: {error}') from error
    return replace(row, written_label_sha256=digest, relabelled=DRAWN)


def update_rows(root: Path, rows: Iterable[EditRow]) -> None:
    """Replace the rows of edits where they are stored: in the merged manifest, or in files of their own."""
    by_file = {row.file: row for row in rows}
    path = root / MANIFEST
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    merged = {}
    for number, line in enumerate(lines):
        value = json.loads(line)
        if value['kind'] == 'edit' and value['file'] in by_file:
            merged[number] = json_line(to_json(by_file[value['file']])).encode()
    changed = [merged.get(number, line) for number, line in enumerate(lines)]
    if changed != lines:
        write_bytes(path, b''.join(changed))
    parts = Manifest(root)
    for file, row in by_file.items():
        if parts.part(file).is_file():
            parts.add(row)
