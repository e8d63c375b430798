"""Print the training step whose checkpoint is to be tested: `wta-seg find-best`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from wtaseg.cli.find_best import main

if __name__ == '__main__':
    sys.exit(main())
