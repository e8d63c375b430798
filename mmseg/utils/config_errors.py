"""One message for whatever a config makes the libraries raise: file, reason, remedy."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from mmengine.config import Config

#: What a wrong config raises in mmengine, torch and the classes that it names, besides ValueError and OSError.
CAUSES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    RecursionError,
    SyntaxError,
    TypeError,
)


class ConfigError(ValueError):
    """A config can't be read, or nothing can be built of it."""


@contextmanager
def config_errors(name: object, doing: str) -> Iterator[None]:
    """Turn errors of a config into :class:`ConfigError` in one line.

    Args:
        name: of the config, for messages.
        doing: what is done with it: ``'read'``.

    Raises:
        ConfigError: something in the block failed.
    """
    try:
        yield
    except RecursionError as error:
        raise ConfigError(
            f'{name}: can not be {doing}: nested without end, expected no circle of _base_ or references; take the '
            'circle out'
        ) from error
    except OSError as error:
        if error.filename is not None or str(name) in str(error):
            raise
        raise ConfigError(f'{name}: can not be {doing}: {reason_of(error)}; correct the config') from error
    except (ValueError, yaml.YAMLError, *CAUSES) as error:
        if isinstance(error, ValueError) and not isinstance(error, (UnicodeError, json.JSONDecodeError)):
            raise
        raise ConfigError(f'{name}: can not be {doing}: {reason_of(error)}; correct the config') from error


def refuse_circles(path: Path, chain: tuple[Path, ...] = ()) -> None:
    """Raises :class:`ConfigError` when a config is, through ``_base_``, a base of itself; mmengine takes long to notice."""
    path = path.resolve()
    if path in chain:
        names = ' -> '.join(link.name for link in (*chain, path))
        raise ConfigError(f'{chain[0]}: _base_ leads in a circle: {names}; take one of them out')
    try:
        bases = Config._get_base_files(str(path))
    except Exception:  # reading the config says what is wrong
        return
    for base in bases:
        if isinstance(base, str) and (path.parent / base).is_file():
            refuse_circles(path.parent / base, (*chain, path))


def reason_of(error: BaseException) -> str:
    """An error as one line that is more than a bare name or number."""
    text = ' '.join(str(error).split())
    kind = type(error).__name__
    if isinstance(error, KeyError):
        text = text.strip('\'"')
        if ' ' not in text:
            return f'the key {text!r} is missing'
    if isinstance(error, SyntaxError):
        return f'{error.msg} in line {error.lineno}'
    if not text:
        return kind
    if unexpected := re.search(r"unexpected keyword argument '(\w+)'", text):
        return f'{text} (the key {unexpected[1]!r} is unknown there)'
    return text if isinstance(error, (ImportError, LookupError, TypeError)) else f'{kind}: {text}'
