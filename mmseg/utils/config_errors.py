"""One message for whatever a config makes the libraries raise: file, reason, remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

#: What a wrong config raises in mmengine, torch and the classes that it names, besides ValueError and OSError.
_CAUSES = (
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
    except OSError:
        raise
    except (ValueError, *_CAUSES) as error:
        if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
            raise
        raise ConfigError(f'{name}: can not be {doing}: {reason_of(error)}; correct the config') from error


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
