"""Print a config: `wta-seg tools print-config`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.tools import main_print_config as main

if __name__ == '__main__':
    sys.exit(main())
