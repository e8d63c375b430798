"""Table of a project: `wta-seg report`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.report import main_table as main

if __name__ == '__main__':
    sys.exit(main())
