"""What a run is: everything about it that is known when it starts.

A :class:`RunSpec` is written to ``exp/<name>/run.json`` before the training starts. Tables, plots and pages read it
from there; nothing is guessed from paths afterwards.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class RunSpec:
    """One training with its test.

    Attributes:
        name: folder below ``exp``, ``<architecture>/<experiment>``.
        config: the experiment's config, below the config folder and without ``.py``, or a path.
        model: display name of the architecture, as in the published tables: ``'Fast-SCNN'``.
        dataset: name of the training data, ``'wta_512'``.
        augmentation: the word of the edited training images (``'peeling'``), ``''`` for edited images of several
            or unknown words, None for original images alone.
        loss: losses of the last decode head, ``'FocalLoss'`` or ``'DiceLoss + CrossEntropyLoss'``.
        loss_parameters: parameters that tell runs of one loss apart, ``{'gamma': 2.0}``.
        classes: class names in the order of their ids; class 0 is the normal class.
        palette: one RGB colour a class, 0 to 255.
        seed: seed of the training; None: drawn at the start.
        overrides: ``KEY=VALUE`` as given by ``--cfg-options``.
    """

    name: str
    config: str
    model: str
    dataset: str = ''
    augmentation: str | None = None
    loss: str = ''
    loss_parameters: dict[str, float] | None = None
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    seed: int | None = None
    overrides: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a mapping of JSON's types, with the format's number."""
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
        return cls(**content)
