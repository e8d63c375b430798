"""What there is to review: the edits of an augmented dataset, or every image of another one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from augment.dataset.gates import REJECTED_IN_REVIEW
from augment.dataset.manifest import MANIFEST, PARTS, REVIEW, Manifest
from augment.dataset.reading import IMAGES, LABELS
from augment.dataset.rows import EditRow
from mmseg.datasets.image_files import match_images
from wtaseg.io import inside

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Item:
    """An image with its label. All paths are relative to the dataset.

    Attributes:
        name: split and name without ending, ``train/NAME``.
        image: path of the image while it is part of the dataset.
        label: path of its label.
        source: path of the image that an edit was made of; with planted defects, of the image with them.
        source_label: path of its label.
        word: of an edit.
        refused: why the gates of ``wta-seg augment`` refused an edit.
    """

    name: str
    image: str
    label: str
    source: str = ''
    source_label: str = ''
    word: str = ''
    refused: tuple[str, ...] = ()

    @property
    def rejected_image(self) -> str:
        """Where the image is while it is rejected; the same place as for edits that a gate refused."""
        return f'{REVIEW}/rejected/{PurePosixPath(self.image).relative_to(IMAGES)}'

    @property
    def rejected_label(self) -> str:
        """Where its label is while it is rejected."""
        return f'{REVIEW}/rejected_labels/{self.name}.png'

    @property
    def earlier_label(self) -> str:
        """Copy of its label as it was before it was changed in the review."""
        return f'{REVIEW}/labels_before/{self.name}.png'


def is_augmented(root: Path) -> bool:
    """Whether ``wta-seg augment`` wrote the dataset."""
    return (root / MANIFEST).is_file() or (root / PARTS).is_dir()


def find_items(root: Path, splits: Sequence[str] = ()) -> list[Item]:
    """The items of a dataset, in the order train, val, test, others, then by name.

    Args:
        root: folder with img_dir and ann_dir.
        splits: only these.

    Raises:
        FileNotFoundError: there is no such dataset or split, or nothing to review in it.
        ValueError: an image or label is a link to the outside, or two images have one stem.
    """
    if not (root / IMAGES).is_dir():
        raise FileNotFoundError(
            f'{root / IMAGES} does not exist; give the folder of a dataset, which holds {IMAGES} and {LABELS}'
        )
    present = [path.name for path in sorted((root / IMAGES).iterdir()) if path.is_dir()]
    for split in splits:
        if split not in present:
            raise FileNotFoundError(
                f'{root / IMAGES / split} does not exist; choose --split from {" ".join(present)}'
            )
    order = sorted(
        splits or present, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name)
    )
    if is_augmented(root):
        items = _edits(root, order)
        missing = f'no edit in {root}: {MANIFEST} names none with an image'
    else:
        items = [item for split in order for item in _images(root, split)]
        missing = f'{root / IMAGES} holds no image in {" ".join(order) or "any split"}'
    if not items:
        raise FileNotFoundError(f'{missing}; there is nothing to review')
    for item in items:
        for name in filter(None, (item.image, item.label, item.source)):
            inside(root, name, root / IMAGES)
    return items


def _edits(root: Path, splits: Sequence[str]) -> list[Item]:
    rows = [row for row in Manifest(root).rows.values() if row.split in splits]
    items = [_edit(row) for row in rows]
    items = [item for item in items if any((root / p).is_file() for p in (item.image, item.rejected_image))]
    return sorted(items, key=lambda item: (splits.index(item.name.split('/')[0]), item.name))


def _edit(row: EditRow) -> Item:
    name = PurePosixPath(row.label).relative_to(LABELS).with_suffix('').as_posix()
    gates = (reason for reason in row.reasons if not reason.startswith(REJECTED_IN_REVIEW))
    refused = () if row.accepted else tuple(gates)
    return Item(name, row.file, row.label, row.edited_image, row.edited_label, row.word, refused)


def _images(root: Path, split: str) -> Iterable[Item]:
    """Every image of a split, also those that a review has rejected."""
    names = [
        path.relative_to(folder).as_posix()
        for folder in (root / IMAGES / split, root / REVIEW / 'rejected' / split)
        for path in folder.rglob('*')
        if path.is_file() and not any(part.startswith('.') for part in path.relative_to(folder).parts)
    ]
    try:
        matched = match_images(names)
    except ValueError as error:
        raise ValueError(f'{root / IMAGES / split}: {error}') from None
    for stem, name in matched.items():
        yield Item(f'{split}/{stem}', f'{IMAGES}/{split}/{name}', f'{LABELS}/{split}/{stem}.png')
