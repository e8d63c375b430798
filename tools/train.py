"""Train an experiment: `wta-seg train`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from wtaseg.cli.train import main

if __name__ == '__main__':
    sys.exit(main())
