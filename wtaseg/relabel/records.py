"""``review/proposals.jsonl``: from what each proposed label was made.

The rows of a batch are written before its labels, and those before the manifest. So after a kill a label that is not the
one in the manifest is known to be a proposal and not drawn by hand.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augment.dataset.manifest import REVIEW
from augment.files import json_line
from wtaseg.io import write

PROPOSALS = f'{REVIEW}/proposals.jsonl'


@dataclass(frozen=True)
class ProposalRow:
    """The proposed label of one edit.

    Attributes:
        file: path of the edit in the dataset.
        label_sha256: of the proposed label's file.
        inputs_sha256: of everything that it was made from, see :func:`fingerprint`.
        segmenter: SHA-256 of the segmenter's file; empty: none was used.
        options: fields of :class:`~wtaseg.relabel.options.ProposalOptions`.
    """

    file: str
    label_sha256: str
    inputs_sha256: str
    segmenter: str
    options: dict[str, Any]


def fingerprint(*parts: Any) -> str:
    """SHA-256 over values that JSON can hold."""
    return hashlib.sha256(json_line(parts).encode()).hexdigest()


def read_proposals(root: Path) -> dict[str, ProposalRow]:
    """The rows by file; empty where there are none.

    Raises:
        ValueError: a line is no row; names file and line.
    """
    path = root / PROPOSALS
    rows = {}
    for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else (), 1):
        try:
            row = ProposalRow(**json.loads(line))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(
                f'{path}, line {number}: no row of a proposal ({error}); correct the line or remove it'
            ) from None
        rows[row.file] = row
    return rows


def write_proposals(root: Path, rows: Mapping[str, ProposalRow]) -> None:
    """Write all rows atomically."""
    write(root / PROPOSALS, ''.join(json_line(asdict(row)) for row in rows.values()))
