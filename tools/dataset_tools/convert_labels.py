"""Convert annotations to label maps: `wta-seg convert`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.cli.convert import main

if __name__ == '__main__':
    sys.exit(main())
