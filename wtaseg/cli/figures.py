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


def report(text: str, content: Any, path: Path | None, indent: int | None = None) -> None:
    """Print ``text`` and write the JSON of ``content`` to ``path`` atomically; for stdout, the JSON alone.

    Args:
        text: a table.
        content: what JSON can hold.
        path: None: no JSON is written.
        indent: of the JSON.
    """
    from wtaseg.io import write

    lines = json.dumps(content, indent=indent) + '\n'
    if path == STDOUT:
        sys.stdout.write(lines)
        return
    print(text)
    if path is not None:
        write(path, lines)
