"""Test a checkpoint: `wta-seg test`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from wtaseg.cli.test import main

if __name__ == '__main__':
    sys.exit(main())
