"""Time a training step: `wta-seg bench`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.bench.step import main

if __name__ == '__main__':
    sys.exit(main())
