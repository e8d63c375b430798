"""Read a recorded ``config.py`` without executing it.

mmengine records a config as assignments of literals. A file that holds anything else is code; it is executed only
where the user trusts it.
"""

from pathlib import Path
from typing import Any

from mmseg.utils.config_text import NotLiteralError, parse_literals


class UnreadConfigError(ValueError):
    """A recorded config holds something other than literals, and was not executed."""


def read_config(path: Path, trust: bool = False) -> dict[str, Any]:
    """The values of a recorded config.

    Args:
        path: ``<time>/vis_data/config.py`` of a run.
        trust: execute a file that is not made of literals alone.

    Raises:
        FileNotFoundError: there is none.
        UnreadConfigError: it is not made of literals alone, and ``trust`` is False.
    """
    try:
        return parse_literals(path.read_text(encoding='utf-8'))
    except (SyntaxError, NotLiteralError) as error:
        if trust:
            return _execute(path)
        line = error.line if isinstance(error, NotLiteralError) else error.lineno
        raise UnreadConfigError(
            f'{path}:{line}: not a literal, so the config was not read; --trust executes it as Python'
        ) from None


def _execute(path: Path) -> dict[str, Any]:
    from mmengine.config import Config

    return Config.fromfile(path, import_custom_modules=False).to_dict()
