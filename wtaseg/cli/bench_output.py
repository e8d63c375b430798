"""What the subcommands of ``wta-seg bench`` share: kinds of numbers, output as JSON."""

import json as json_format
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

    text = json_format.dumps(content, indent=indent) + '\n'
    if path == STDOUT:
        sys.stdout.write(text)
    elif path is not None:
        write(path, text)
