"""What a run is: everything about it that is known when it starts.

A :class:`RunSpec` is written to ``exp/<name>/run.json`` before the training starts. Tables, plots and pages read it
from there; nothing is derived from paths afterwards. :mod:`wtaseg.runs.describe` makes it from a config.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from wtaseg.io import read_json, write

FORMAT = 1
# augmentation of a run whose config was not read
UNKNOWN = '?'


@dataclass(frozen=True)
class RunSpec:
    """One training with its test.

    Attributes:
        name: folder below ``exp``, ``<architecture>/<experiment>``, when the run started.
        config: the experiment's config, below the config folder and without ``.py``, or a path; ``''``: unknown.
        model: display name of the architecture, as in the published tables: ``'Fast-SCNN'``.
        dataset: name of the training data, ``'wta_512'``.
        augmentation: the word of the edited training images (``'peeling'``), ``''`` for edited images of several
            or unknown words, None for original images alone, :data:`UNKNOWN` where the config was not read.
        loss: losses of the last decode head, ``'FocalLoss'`` or ``'DiceLoss + CrossEntropyLoss'``.
        loss_parameters: the losses' numbers by name, ``{'gamma': 2.0}``; with several losses the names are
            ``'FocalLoss.gamma'``. Weights of losses are left out.
        classes: class names in the order of their ids; empty: unknown. The first is the normal class.
        palette: one RGB colour a class, 0 to 255.
        seed: seed of the training; None: drawn at the start.
        overrides: ``KEY=VALUE`` as given by ``--cfg-options``.
        base: folder that relative paths of data in the config count from, where the run was started. A project inside
            it has it relative to ``work_dirs/<project>`` (``'../..'``), so that both can be moved together; any other
            project has it absolute. None: not recorded.
    """

    name: str
    config: str
    model: str
    dataset: str = ''
    augmentation: str | None = None
    loss: str = ''
    loss_parameters: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    base: str | None = None

    @property
    def normal_class(self) -> str | None:
        """Name of class 0, which METAINFO of the published method calls ``'defect'``; None: unknown."""
        return self.classes[0] if self.classes else None

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of all classes but the normal one, in the order of their ids."""
        return self.classes[1:]

    @property
    def trained_on(self) -> str:
        """``'Original'`` or ``'w/ Augmented'``, as in the published tables, or :data:`UNKNOWN`."""
        if self.augmentation == UNKNOWN:
            return UNKNOWN
        return 'Original' if self.augmentation is None else 'w/ Augmented'

    def loss_label(self, parameters: bool = False) -> str:
        """The losses, with their gammas where asked for: ``'FocalLoss γ=2 + DiceLoss'``."""
        if not parameters:
            return self.loss
        names = self.loss.split(' + ')
        keys = {name: 'gamma' if len(names) == 1 else f'{name}.gamma' for name in names}
        gammas = {name: self.loss_parameters.get(key) for name, key in keys.items()}
        return ' + '.join(name if gammas[name] is None else f'{name} γ={gammas[name]:g}' for name in names)

    def to_json(self) -> dict[str, Any]:
        """As a mapping of JSON's types, with the number of the format."""
        return {'format': FORMAT} | asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> 'RunSpec':
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: another format, or a field is missing or unknown.
        """
        content = dict(content)
        if (number := content.pop('format', None)) != FORMAT:
            raise ValueError(f'format is {number!r}, expected {FORMAT}')
        known = {field.name for field in fields(cls)}
        if unknown := sorted(content.keys() - known):
            raise ValueError(f'unknown field {unknown[0]!r}, expected {", ".join(sorted(known))}')
        if missing := [name for name in ('name', 'config', 'model') if name not in content]:
            raise ValueError(f'field {missing[0]!r} is missing')
        for key in ('classes', 'overrides'):
            content[key] = tuple(content.get(key) or ())
        content['palette'] = tuple(tuple(color) for color in content.get('palette') or ())
        content['loss_parameters'] = dict(content.get('loss_parameters') or {})
        return cls(**content)


def write_spec(spec: RunSpec, path: Path) -> None:
    """Write ``run.json``, atomically."""
    write(path, json.dumps(spec.to_json(), indent=1, ensure_ascii=False))


def read_spec(path: Path) -> RunSpec:
    """Read ``run.json``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not JSON, or not of this format.
    """
    try:
        content = read_json(path, 'a run.json')
        if not isinstance(content, dict):
            raise ValueError('expected an object')
        return RunSpec.from_json(content)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path}: {error}; delete it and run the batch job, which writes it again') from None
