"""Proposes and writes the labels of single edits."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from augment.dataset.manifest import update_rows
from augment.dataset.reading import defect_mask, encode_label, recorded_range
from augment.dataset.rows import DRAWN, PROPOSED, REVIEWED, EditRow
from augment.files import sha256
from wtaseg.io import write
from wtaseg.relabel.edits import Edit, read_image, read_label
from wtaseg.relabel.options import ProposalOptions
from wtaseg.relabel.proposals import Views, propose
from wtaseg.relabel.records import ProposalRow, fingerprint, read_proposals, write_proposals
from wtaseg.relabel.segmenter import Segmenter

VERSION = 1
"""Part of the fingerprint of a proposal; increased whenever the same inputs give another label."""


@dataclass
class RelabelSummary:
    """What became of the edits of a dataset; ``added`` and ``removed`` are defect pixels against the copied labels."""

    root: Path
    proposed: int = 0
    before: int = 0
    left: Counter[str] = field(default_factory=Counter)
    copied: int = 0
    added: int = 0
    removed: int = 0
    sheet: Path | None = None

    def __str__(self) -> str:
        text = f'{self.root}: {self.proposed} labels proposed'
        if self.before:
            text += f', {self.before} proposed before'
        text += ''.join(f', {count} {kind} labels left' for kind, count in sorted(self.left.items()))
        if self.proposed:
            share = 100 / max(1, self.copied)
            text += f'; defect pixels: +{self.added * share:.0f} %, -{self.removed * share:.0f} %'
        return text + (f'; {self.sheet}' if self.sheet else '')


class Relabeller:
    """Proposes labels for the edits of one dataset.

    Args:
        root: the dataset, as ``wta-seg augment`` wrote it.
        options: of the proposals.
        segmenter: gives the probability of a defect; None: none is used.
    """

    def __init__(self, root: Path, options: ProposalOptions, segmenter: Segmenter | None = None) -> None:
        self.root, self.options, self.segmenter = root, options, segmenter
        self.value_range = recorded_range(root)
        self.records = read_proposals(root)

    def inputs(self, edit: Edit) -> str:
        """Fingerprint of everything that the proposal depends on."""
        files = (
            self.root / edit.row.file,
            edit.source,
            edit.source_label,
            edit.reconstruction,
        )
        hashes = [sha256(path) if path.is_file() else '' for path in files]
        segmenter = self.segmenter.sha256 if self.segmenter else ''
        return fingerprint(VERSION, hashes, segmenter, asdict(self.options), self.value_range)

    def left_because(self, row: EditRow) -> str:
        """Why the label of an accepted edit is left as it is: ``reviewed`` or ``drawn``; empty: it may be."""
        if row.relabelled in (REVIEWED, DRAWN):
            return str(row.relabelled)
        label = self.root / row.label
        if not label.is_file():
            return ''
        known = {row.written_label_sha256, row.copied_label_sha256}
        if row.file in self.records:
            known.add(self.records[row.file].label_sha256)
        return '' if sha256(label) in known else DRAWN

    def is_done(self, edit: Edit) -> bool:
        """Whether the edit has the label that would be proposed now."""
        row, record = edit.row, self.records.get(edit.row.file)
        return (
            record is not None
            and row.relabelled == PROPOSED
            and row.written_label_sha256 == record.label_sha256
            and (self.root / row.label).is_file()
            and sha256(self.root / row.label) == record.label_sha256
            and record.inputs_sha256 == self.inputs(edit)
        )

    def propose(self, edit: Edit) -> tuple[np.ndarray, np.ndarray]:
        """Class ids ``(H, W)`` uint8 of the source's label and of the proposed one.

        Raises:
            OSError, ValueError: a file is missing or can't be used; names it.
        """
        path = self.root / edit.row.file
        edited = read_image(path, self.value_range)
        label = read_label(edit.source_label, edited.shape[:2])
        source = read_image(edit.source, self.value_range)
        reconstruction = None
        if edit.reconstruction.is_file():
            reconstruction = read_image(edit.reconstruction, None)
        defect = self.segmenter.defect(path) if self.segmenter else None
        try:
            return label, propose(Views(source, edited, reconstruction, defect), label, self.options)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None

    def write(self, edits: Sequence[Edit], summary: RelabelSummary, done: Callable[[], None]) -> None:
        """Propose and write the labels of some edits: what they are made from, the labels, and then the manifest."""
        contents: dict[str, bytes] = {}
        rows = []
        segmenter = self.segmenter.sha256 if self.segmenter else ''
        for edit in edits:
            label, proposed = self.propose(edit)
            copied, now = defect_mask(label), defect_mask(proposed)
            summary.copied += int(copied.sum())
            summary.added += int((now & ~copied).sum())
            summary.removed += int((copied & ~now).sum())
            content = encode_label(proposed)
            digest = hashlib.sha256(content).hexdigest()
            contents[edit.row.label] = content
            self.records[edit.row.file] = ProposalRow(
                edit.row.file, digest, self.inputs(edit), segmenter, asdict(self.options)
            )
            rows.append(replace(edit.row, relabelled=PROPOSED, written_label_sha256=digest))
            done()
        write_proposals(self.root, self.records)
        for name, content in contents.items():
            write(self.root / name, content)
        update_rows(self.root, rows)
        summary.proposed += len(rows)
