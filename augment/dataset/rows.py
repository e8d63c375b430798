"""The rows of ``manifest.jsonl`` as dataclasses, and their JSON.

The keys in the file are the names of the fields. A field marked optional is left out of the file while it is None; all
others are always there. Unknown and missing keys are errors.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path, PurePosixPath
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin

from augment.dataset.components import ComponentRecord
from augment.dataset.quality import OPTIONAL, Metrics
from augment.dataset.reading import IMAGES, LABELS

Kind = TypeVar('Kind')

REVIEW = 'review'
PLANTED, PLANTED_LABELS = f'{REVIEW}/planted', f'{REVIEW}/planted_labels'
"""Where images with planted defects and their labels are, as they were before they were edited."""

PROPOSED, REVIEWED, DRAWN = 'proposed', 'reviewed', 'drawn'
RELABELLED = (PROPOSED, REVIEWED, DRAWN)
"""Where the label beside an edit comes from, if it is no mere copy of the source's."""


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Which weights made an edit: ``revision`` of a hub model, ``fingerprint`` of their content and dtype."""

    id: str
    revision: str | None
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class RegionRecord:
    """One region of an edit: ``box`` (left, top, right, bottom), working ``size`` (height, width), its judgement.

    ``components`` are the defects in it, see ``measure_components``.
    """

    box: list[int]
    size: list[int]
    accepted: bool
    reasons: list[str]
    metrics: Metrics | None = field(default=None, metadata=OPTIONAL)
    inner_steps: int | None = field(default=None, metadata=OPTIONAL)
    components: list[ComponentRecord] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class PlantedDefect:
    """A defect that was put into a normal image.

    Attributes:
        defect: Name of the class.
        area: Pixels.
        donor: Image that it was cut from, relative to the input.
        donor_sha256, donor_label_sha256: Of that image and its label.
        donor_box: Box (left, top, right, bottom) that was cut out.
        turn: Quarter turns of it, 0 to 3; 4 to 7: mirrored as well.
        position: Where its upper left corner came, (left, top).
    """

    defect: str
    area: int
    donor: str
    donor_sha256: str
    donor_label_sha256: str
    donor_box: list[int]
    turn: int
    position: list[int]


@dataclass(frozen=True, kw_only=True)
class Planting:
    """A normal image with planted defects, before it is edited: paths in the output, and what was planted."""

    image: str
    label: str
    label_sha256: str
    defects: list[PlantedDefect]


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One file of the dataset: kind ``original`` (of the edited split) or ``copy`` (of another one).

    All paths are relative to the dataset, in the input for ``source`` and in the output for ``file`` and ``label``.
    """

    file: str
    kind: str
    split: str
    source: str
    source_sha256: str
    label: str | None
    label_sha256: str | None
    accepted: bool
    reasons: list[str]


@dataclass(frozen=True, kw_only=True)
class EditRow(FileRow):
    """One edit, accepted or refused.

    Attributes:
        parameters: Every parameter of ``AugmentConfig`` that images depend on.
        model: None where there was nothing to edit.
        reconstruction_psnr: As in ``metrics``.
        metrics: Each figure at its worst over the regions; None where no region was edited.
        file_sha256: Of an accepted edit.
        written_label_sha256: Of the label beside an accepted edit.
        relabelled: False for a copy of the source's label, else ``proposed`` by a program, ``reviewed`` by a person who
            left it as it was, or ``drawn`` by a person or imported.
        judge_sha256: Of the segmenter given by ``--judge``.
        mode: ``plant`` or ``paste``; None for an edit of an image as it is.
        planting: With these modes, what was put into ``source``; without, None.
    """

    word: str
    target_prompt: str
    regions: list[RegionRecord]
    seed: int
    parameters: dict[str, Any]
    model: ModelIdentity | None
    reconstruction_psnr: float | None
    metrics: Metrics | None
    file_sha256: str | None = field(default=None, metadata=OPTIONAL)
    written_label_sha256: str | None = field(default=None, metadata=OPTIONAL)
    relabelled: str | bool | None = field(default=None, metadata=OPTIONAL)
    judge_sha256: str | None = field(default=None, metadata=OPTIONAL)
    mode: str | None = field(default=None, metadata=OPTIONAL)
    planting: Planting | None = field(default=None, metadata=OPTIONAL)

    @property
    def edited_image(self) -> str:
        """Path in the output of the image that was edited: the source, or the source with planted defects."""
        return self.planting.image if self.planting else self.source

    @property
    def edited_label(self) -> str:
        """Path in the output of the label of ``edited_image``."""
        if self.planting:
            return self.planting.label
        return f'{LABELS}/{PurePosixPath(self.source).relative_to(IMAGES).with_suffix(".png")}'

    @property
    def copied_label_sha256(self) -> str | None:
        """SHA-256 of the label of ``edited_image``, which is copied beside the edit."""
        return self.planting.label_sha256 if self.planting else self.label_sha256

    @property
    def reconstruction(self) -> str:
        """Path in the output of the reconstruction of ``edited_image``."""
        folder = PLANTED if self.planting else IMAGES
        return f'{REVIEW}/reconstruction/{PurePosixPath(self.edited_image).relative_to(folder).with_suffix(".png")}'


ROW_KINDS: dict[str, type[FileRow]] = {'original': FileRow, 'copy': FileRow, 'edit': EditRow}
NESTED: dict[tuple[type, str], type] = {
    (EditRow, 'model'): ModelIdentity,
    (EditRow, 'metrics'): Metrics,
    (EditRow, 'regions'): RegionRecord,
    (EditRow, 'planting'): Planting,
    (Planting, 'defects'): PlantedDefect,
    (RegionRecord, 'metrics'): Metrics,
    (RegionRecord, 'components'): ComponentRecord,
}


PLAIN = (str, bool, int)
"""Types of fields that are compared with those of the values in the file."""


def to_json(value: Any) -> Any:
    """A row, or a part of one, as plain JSON types."""
    if is_dataclass(value):
        items = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: to_json(v) for f, v in items if v is not None or not is_optional(f)}
    return [to_json(item) for item in value] if isinstance(value, list) else value


def is_optional(f: Field) -> bool:
    """Whether a field may be left out of the file."""
    return f.metadata.get('optional', False)


def from_json(kind: type[Kind], value: Any, where: str) -> Kind:
    """Undo ``to_json`` for a dataclass ``kind``; ``where`` names file and line in the error.

    Raises:
        ValueError: ``value`` is no mapping, or has unknown or missing keys.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f'{where}: expected an object with the keys of a {kind.__name__}, found {value!r}')
    known = {f.name: f for f in fields(kind)}
    required = {name for name, f in known.items() if f.default is MISSING}
    for problem, names in (('unknown', value.keys() - known.keys()), ('missing', required - value.keys())):
        if names:
            raise ValueError(
                f'{where}: {problem} key {", ".join(sorted(map(repr, names)))} in {kind.__name__}; restore the file, '
                'or remove the folder to start again'
            )

    for name, item in value.items():
        if known[name].type in PLAIN and type(item) is not known[name].type:
            raise ValueError(
                f'{where}: {name} is {item!r}; expected a value of type {known[name].type.__name__}. Restore the file, or '
                'remove the folder to start again'
            )

    def read(name: str, item: Any) -> Any:
        """The value of field ``name``, nested rows included."""
        nested, expected = NESTED.get((kind, name)), known[name].type
        types = get_args(expected) if isinstance(expected, UnionType) else (expected,)
        if nested is None or (item is None and NoneType in types):
            return item
        several = any(get_origin(one) is list for one in types)
        if several is not isinstance(item, list):
            what = 'a list' if several else 'an object'
            raise ValueError(
                f'{where}: {name} is {item!r}; expected {what}. Restore the file, or remove the folder to start again'
            )
        if several:
            return [from_json(nested, entry, f'{where}, {name}') for entry in item]
        return from_json(nested, item, f'{where}, {name}')

    return kind(**{name: read(name, item) for name, item in value.items()})


def read_rows(path: Path) -> Iterator[FileRow]:
    """The rows of a JSON-lines file.

    Raises:
        ValueError: A line is no JSON or no row; the message names file and line.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is no file; expected a manifest, or the row of an edit')
    with path.open('rb') as lines:
        for number, line in enumerate(lines, 1):
            where = f'{path}, line {number}'
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(
                    f'{where}: not JSON ({error}); restore the file, or remove the folder to start again'
                ) from error
            kind = value.get('kind') if isinstance(value, dict) else None
            if not isinstance(kind, str) or kind not in ROW_KINDS:
                raise ValueError(f'{where}: kind is {kind!r}; expected one of {", ".join(ROW_KINDS)}')
            yield from_json(ROW_KINDS[kind], with_known_relabelled(value, where), where)


def with_known_relabelled(value: dict[str, Any], where: str) -> dict[str, Any]:
    """A row as read, with ``drawn`` in place of the true that manifests had for ``relabelled`` earlier.

    Raises:
        ValueError: It has another value than those of ``EditRow``.
    """
    relabelled = value.get('relabelled')
    if relabelled is True:
        return value | {'relabelled': DRAWN}
    if relabelled in (None, False, *RELABELLED):
        return value
    raise ValueError(
        f'{where}: relabelled is {relabelled!r}; expected false or one of {", ".join(RELABELLED)}. Restore the file'
    )
