"""Fields of a dataclass of options, with help, source and limits, and their checks."""

from dataclasses import MISSING, field
from typing import Any, Literal, get_args


def option(default: Any, text: str, source: str = '', **limits: Any) -> Any:
    """A dataclass field with its help text, source and limits (``low``, ``high``) or ``flag``."""
    metadata = {'help': text, 'source': source, **limits}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def default_of(f: Any) -> Any:
    """The default of a field."""
    return f.default if f.default_factory is MISSING else f.default_factory()


def flag_of(f: Any) -> str:
    """The command-line flag of a field."""
    return f.metadata.get('flag') or '--' + f.name.replace('_', '-')


def check_value(f: Any, value: Any) -> None:
    """Raises ``ValueError`` when ``value`` is outside the limits of field ``f``."""
    name = flag_of(f).removeprefix('--')
    choices = get_args(f.type) if getattr(f.type, '__origin__', None) is Literal else ()
    if choices and value not in choices:
        raise ValueError(f'{name}: {value!r} is not one of {", ".join(choices)}')
    low, high = f.metadata.get('low'), f.metadata.get('high')
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        span = f'at least {low}' if high is None else f'between {low} and {high}'
        raise ValueError(f'{name}: {value} found, expected {span}')
