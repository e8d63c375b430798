"""``review/decisions.jsonl``: what was decided on each image, in the order of the decisions."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from augment.dataset.manifest import REVIEW
from augment.dataset.rows import RELABELLED
from wtaseg.io import write

DECISIONS = f'{REVIEW}/decisions.jsonl'
ACCEPTED, REJECTED, UNDECIDED = 'accepted', 'rejected', ''


@dataclass(frozen=True)
class ReviewRow:
    """The review of one image.

    Attributes:
        file: path of the image in the dataset, also while it is rejected.
        decision: ``accepted``, ``rejected`` or empty.
        reason: why it was rejected.
        relabelled: where its label comes from: ``drawn``, ``reviewed``, ``proposed``, or empty: not known.
        before: ``relabelled`` before the label was first changed.
        image_sha256: of the image that was decided on.
    """

    file: str
    decision: str = UNDECIDED
    reason: str = ''
    relabelled: str = ''
    before: str = ''
    image_sha256: str = ''


def read_decisions(root: Path) -> dict[str, ReviewRow]:
    """The rows by file, in their order; empty without a review.

    Raises:
        ValueError: a line is no row; names file and line.
    """
    path = root / DECISIONS
    if not path.is_file():
        return {}
    rows = (
        _row(line, f'{path}, line {number}') for number, line in enumerate(path.read_bytes().splitlines(), 1)
    )
    return {row.file: row for row in rows}


def _row(line: bytes, where: str) -> ReviewRow:
    try:
        row = ReviewRow(**json.loads(line))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f'{where}: no row of a review ({error}); correct the line or remove it') from None
    if not all(isinstance(getattr(row, field.name), str) for field in fields(row)):
        raise ValueError(f'{where}: a value is no text; correct the line or remove it')
    for key, values in (
        ('decision', (ACCEPTED, REJECTED, UNDECIDED)),
        ('relabelled', ('', *RELABELLED)),
        ('before', ('', *RELABELLED)),
    ):
        if getattr(row, key) not in values:
            expected = ', '.join(map(repr, values))
            raise ValueError(
                f'{where}: {key} is {getattr(row, key)!r}, expected {expected}; correct the line'
            )
    return row


def write_decisions(root: Path, rows: Iterable[ReviewRow]) -> None:
    """Write all rows atomically."""
    lines = (json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + '\n' for row in rows)
    write(root / DECISIONS, ''.join(lines))
