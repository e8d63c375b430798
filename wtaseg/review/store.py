"""Labels and decisions on disk: each change is written at once, and only if the window that asks for it knows the
latest version."""

import hashlib
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from augment.dataset.gates import REJECTED_IN_REVIEW
from augment.dataset.manifest import MANIFEST, Manifest, update_rows
from augment.dataset.reading import encode_label
from augment.dataset.rows import DRAWN, REVIEWED, EditRow
from augment.files import sha256
from wtaseg.io import inside, write

from .images import check_ids, image_size, read_label
from .items import Item, is_augmented
from .records import ACCEPTED, REJECTED, UNDECIDED, ReviewRow, read_decisions, write_decisions


class ConflictError(Exception):
    """The item was changed since the version that a change is based on; ``state`` is its current one."""

    def __init__(self, state: 'ItemState') -> None:
        super().__init__('changed since it was loaded, in another window or by another program')
        self.state = state


@dataclass(frozen=True)
class ItemState:
    """What is on disk about an item; ``version`` changes with its label and its decision."""

    decision: str
    reason: str
    relabelled: str
    version: str


class Store:
    """The items of one dataset. Safe for several threads; one process at a time may have it.

    Args:
        root: folder of the dataset.
        items: as :func:`.items.find_items` returns them.
        num_classes: ids from 0 that labels may hold, beside 255.
    """

    def __init__(self, root: Path, items: Sequence[Item], num_classes: int) -> None:
        self.root, self.items, self.num_classes = root, tuple(items), num_classes
        self._lock = threading.RLock()
        self._rows = read_decisions(root)
        self._edits: dict[str, EditRow] = {}
        self._edits_read_at: tuple | None = None
        self._finish_moves()

    def row(self, item: Item) -> ReviewRow:
        """The review of an item so far."""
        row = self._rows.get(item.image, ReviewRow(item.image))
        edit = self._edit(item)
        if edit is None:
            return row
        if row.decision and edit.accepted != (row.decision == ACCEPTED):
            row = replace(row, decision=UNDECIDED, reason='')  # edited again since
        return replace(row, relabelled=edit.relabelled or '')

    def state(self, item: Item) -> ItemState:
        """What is on disk about an item."""
        with self._lock:
            row, label = self.row(item), self.label_path(item)
            content = label.read_bytes() if label.is_file() else b''
            digest = hashlib.sha256(content + repr(asdict(row)).encode()).hexdigest()[:20]
            return ItemState(row.decision, row.reason, row.relabelled, digest)

    def image_path(self, item: Item) -> Path:
        """The image of an item, wherever it is now.

        Raises:
            ValueError: it is a link to the outside of the dataset; so in :meth:`label_path` and :meth:`source_path`.
        """
        return self._inside(item.image if self._is_in_dataset(item) else item.rejected_image)

    def label_path(self, item: Item) -> Path:
        """The label of an item, wherever it is now; there may be no file."""
        return self._inside(item.label if self._is_in_dataset(item) else item.rejected_label)

    def source_path(self, item: Item) -> Path:
        """The image that an edit was made of."""
        return self._inside(item.source)

    def label(self, item: Item) -> tuple[np.ndarray, ItemState]:
        """Class ids ``(H, W)`` uint8 and state. An edit that was refused, and so has no label, has its source's.

        Raises:
            FileNotFoundError, ValueError: image or label can't be used.
        """
        with self._lock:
            return self._ids(item), self.state(item)

    def source_label(self, item: Item) -> np.ndarray:
        """Class ids ``(H, W)`` uint8 of the image that an edit was made of; raises as :meth:`label`."""
        return read_label(self._inside(item.source_label), self.image_path(item), self.num_classes)

    def save(self, item: Item, ids: np.ndarray, version: str) -> ItemState:
        """Write a label; the first time, a copy of the one before is put into ``review/labels_before``.

        Args:
            item: whose label it is.
            ids: class ids ``(H, W)`` uint8.
            version: of the item that the label was made from.

        Raises:
            ConflictError: the item has another version.
            ValueError: the label has another size than the image, or ids of no class.
        """
        with self._lock:
            self._expect(item, version)
            size = image_size(self.image_path(item))
            if ids.shape != size:
                raise ValueError(f'label of {ids.shape}, expected {size}: load the image again')
            check_ids(ids, self.num_classes)
            path, row = self.label_path(item), self.row(item)
            if path.is_file() and np.array_equal(self._ids(item), ids):
                return self.state(item)
            earlier = self._inside(item.earlier_label)
            if earlier.is_file() and np.array_equal(self._read(item, earlier), ids):
                write(path, earlier.read_bytes())
                earlier.unlink()
                row = replace(row, relabelled=row.before)
            else:
                if path.is_file() and not earlier.is_file():
                    write(earlier, path.read_bytes())
                    row = replace(row, before=row.relabelled)
                write(path, encode_label(ids))
                row = replace(row, relabelled=DRAWN)
            self._write_row(row)
            self._update_manifest(item, row)
            return self.state(item)

    def decide(self, item: Item, decision: str, reason: str, version: str) -> ItemState:
        """Accept or reject an item.

        A rejected image and its label leave the dataset for ``review/rejected`` and ``review/rejected_labels``; accepting
        brings them back. A label that was only looked at becomes ``reviewed``.

        Raises:
            ConflictError: the item has another version.
            ValueError: the decision is unknown, or the label of an item to accept can't be used.
        """
        if decision not in (ACCEPTED, REJECTED):
            raise ValueError(f'decision {decision!r}, expected {ACCEPTED} or {REJECTED}')
        with self._lock:
            self._expect(item, version)
            row = replace(self.row(item), decision=decision, reason=reason if decision == REJECTED else '')
            row = replace(row, image_sha256=sha256(self.image_path(item)))
            if decision == ACCEPTED:
                ids, label = self._ids(item), self.label_path(item)
                if not label.is_file():
                    write(label, encode_label(ids))
                row = replace(row, relabelled=DRAWN if row.relabelled == DRAWN else REVIEWED)
            # written first, so that the next start finishes what a kill interrupts
            self._rows.pop(item.image, None)
            self._write_row(row)
            self._move(item, decision)
            self._update_manifest(item, row)
            return self.state(item)

    def next_item(self) -> int:
        """Index of the first item to decide after the one decided last; the first item if there is none.

        Edits that a gate refused need no decision.
        """
        decided = {item.image for item in self.items if self.row(item).decision}
        last = next((file for file in reversed(self._rows) if file in decided), None)
        start = next((n + 1 for n, item in enumerate(self.items) if item.image == last), 0)
        order = [*range(start, len(self.items)), *range(start)]
        open_items = (n for n in order if not (self.items[n].image in decided or self.items[n].refused))
        return next(open_items, 0)

    def summary(self) -> str:
        """How many items are decided, as text."""
        decisions = [self.row(item).decision for item in self.items]
        refused = sum(bool(item.refused) and not made for item, made in zip(self.items, decisions))
        accepted, rejected = decisions.count(ACCEPTED), decisions.count(REJECTED)
        text = f'{accepted + rejected} of {len(self.items) - refused} decided: {accepted} accepted, {rejected} rejected'
        return f'{text}; {refused} refused by a gate' if refused else text

    def _is_in_dataset(self, item: Item) -> bool:
        return (self.root / item.image).is_file()

    def _inside(self, name: str) -> Path:
        return inside(self.root, name, self.root)

    def _expect(self, item: Item, version: str) -> None:
        state = self.state(item)
        if state.version != version:
            raise ConflictError(state)

    def _ids(self, item: Item) -> np.ndarray:
        path = self.label_path(item)
        if item.source and not path.is_file():
            return self.source_label(item)
        return self._read(item, path)

    def _read(self, item: Item, path: Path) -> np.ndarray:
        return read_label(path, self.image_path(item), self.num_classes)

    def _move(self, item: Item, decision: str) -> None:
        pairs = ((item.label, item.rejected_label), (item.image, item.rejected_image))
        for member, rejected in pairs:
            source, target = (member, rejected) if decision == REJECTED else (rejected, member)
            _rename(self._inside(source), self._inside(target))

    def _finish_moves(self) -> None:
        """Finish the last decisions of a process that was killed."""
        for item in self.items:
            row = self._rows.get(item.image)
            if row is None or not row.decision:
                continue
            edit, rejected = self._edit(item), row.decision == REJECTED
            misplaced = self._is_in_dataset(item) == rejected
            misplaced |= edit is not None and edit.accepted == rejected
            if misplaced and sha256(self.image_path(item)) == row.image_sha256:
                self._move(item, row.decision)
                self._update_manifest(item, row)

    def _write_row(self, row: ReviewRow) -> None:
        self._rows[row.file] = row
        write_decisions(self.root, self._rows.values())

    def _update_manifest(self, item: Item, row: ReviewRow) -> None:
        edit = self._edit(item)
        if edit is not None:
            update_rows(self.root, [self._reviewed(item, edit, row)])

    def _reviewed(self, item: Item, edit: EditRow, row: ReviewRow) -> EditRow:
        """The row of an edit after its review."""
        if row.decision == REJECTED:
            reason = f'{REJECTED_IN_REVIEW}: {row.reason}' if row.reason else REJECTED_IN_REVIEW
            edit = replace(edit, accepted=False, reasons=[reason], file_sha256=None)
        elif row.decision == ACCEPTED:
            edit = replace(edit, accepted=True, reasons=[], file_sha256=sha256(self.root / item.image))
        label = self.label_path(item)
        digest = sha256(label) if label.is_file() else None
        return replace(edit, written_label_sha256=digest, relabelled=row.relabelled or False)

    def _edit(self, item: Item) -> EditRow | None:
        """The row of an edit in the manifest as it is now."""
        if not item.source:
            return None
        read_at = None
        with suppress(FileNotFoundError):
            status = (self.root / MANIFEST).stat()
            read_at = (status.st_ino, status.st_mtime_ns, status.st_size)
        if read_at is None or read_at != self._edits_read_at:
            if is_augmented(self.root):
                self._edits = Manifest(self.root).rows
            self._edits_read_at = read_at
        return self._edits.get(item.image)


def _rename(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
