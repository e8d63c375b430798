"""What the studies read and write."""

import json
from pathlib import Path

from . import paths  # noqa: F401  makes the analysis tools importable

from whole_files import write  # isort: skip

__all__ = ['read_json', 'write']


def read_json(path: Path) -> dict:
    """A JSON file's content.

    Raises:
        FileNotFoundError, ValueError: it is missing, or no JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; expected the results.json of a study')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not JSON ({error}); expected the results.json of a study') from None
