"""The subcommands of ``wta-seg``, one file each.

cyclopts makes the command line: it takes lists as mmsegmentation's users type them (``--cfg-options A=1 B=2``),
builds options from dataclasses, and imports a subcommand only when it is called.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

COMMANDS = {
    'batch': 'Train, select the best checkpoint of and test many experiments.',
    'find-best': 'Print the training step whose checkpoint is tested.',
    'render': 'Render a synthetic dataset of blade images with rare defects.',
}

app = App(name='wta-seg', help='Segmentation of rare defects, from own images to a finished report.')
for _name, _help in COMMANDS.items():
    app.command(f'wtaseg.cli.{_name.replace("-", "_")}:command', name=_name, help=_help)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``wta-seg``; returns the exit status: 2 for arguments that cannot be used."""
    try:
        return app(sys.argv[1:] if argv is None else list(argv), exit_on_error=False, print_error=False) or 0
    except CycloptsError as error:
        print(f'wta-seg: {error}', file=sys.stderr)
        return 2
