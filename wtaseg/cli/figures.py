"""Figures that a command measures: their options, and their JSON."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

Positive = Annotated[int, Parameter(validator=Number(gte=1))]
Count = Annotated[int, Parameter(validator=Number(gte=0))]
STDOUT = Path('/dev/stdout')


def write_json(content: Any, path: Path | None, indent: int | None = None) -> None:
    """Write JSON to a file atomically, or to stdout; nothing where ``path`` is None."""
    from wtaseg.io import write

    text = json.dumps(content, indent=indent) + '\n'
    if path == STDOUT:
        sys.stdout.write(text)
    elif path is not None:
        write(path, text)
