"""Parameters, FLOPs and time of a model: `wta-seg bench`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from wtaseg.bench.flops import main

if __name__ == '__main__':
    sys.exit(main())
